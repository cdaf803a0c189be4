//! `--local`: one broker for a data directory, whoever of those who use it runs it.

use std::path::Path;

use mq::engine::{
    ApiList, Category, ConsumeOptions, Engine, Error, Event, Fields, Host, HostOptions, Message,
    PublishOutcome, PublisherOptions, QueueSpec, Target, TargetOptions, literal,
};
use tempfile::TempDir;

fn run(scenario: impl AsyncFnOnce(&Path)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let directory = TempDir::new().unwrap();
    runtime.block_on(scenario(directory.path()));
}

async fn open(directory: &Path) -> Result<Engine, Error> {
    let local = Some(Some(directory.to_owned()));
    let target = Target::resolve(TargetOptions { local, ..Default::default() }, |_| None)?;
    Engine::open(target).await
}

async fn declare(engine: &Engine) {
    let queue = QueueSpec { name: literal("q"), durable: true, ..QueueSpec::default() };
    engine.declare_queue(&queue).await.unwrap();
}

async fn publish(engine: &Engine) {
    let mut publisher = engine.publisher(PublisherOptions::default()).await.unwrap();
    let message = Message { routing_key: literal("q"), body: "hi".into(), ..Message::default() };
    assert_eq!(publisher.send_and_wait(&message).await.unwrap(), PublishOutcome::Confirmed);
}

#[test]
fn those_who_share_a_directory_share_a_broker() {
    run(async |directory| {
        let host = open(directory).await.unwrap();
        let guest = open(directory).await.unwrap();
        declare(&host).await;
        publish(&guest).await;
        let got = host.get(&literal("q")).await.unwrap().expect("the guest's message");
        assert_eq!(&got.ack().unwrap().body[..], b"hi");
        for engine in [&host, &guest] {
            let queues = engine.inspect().list(ApiList::Queues, Fields::All).await.unwrap();
            assert_eq!(queues[0]["name"], "q");
        }
        guest.close().await.unwrap();
        host.close().await.unwrap();
        assert!(!directory.join("mq.sock").exists());
        assert!(!directory.join("mq-http.sock").exists());
    });
}

#[test]
fn of_those_who_race_one_becomes_the_host() {
    run(async |directory| {
        let (one, two, three) = tokio::join!(open(directory), open(directory), open(directory));
        let engines = [one.unwrap(), two.unwrap(), three.unwrap()];
        declare(&engines[0]).await;
        for engine in &engines {
            publish(engine).await;
        }
        let state = engines[2].check_queue(&literal("q")).await.unwrap();
        assert_eq!(state.message_count, 3);
    });
}

#[test]
fn guests_are_told_when_the_host_ends() {
    run(async |directory| {
        let host = open(directory).await.unwrap();
        let guest = open(directory).await.unwrap();
        declare(&host).await;
        let options = ConsumeOptions { queue: literal("q"), ..ConsumeOptions::default() };
        let mut consumer = guest.consume(options).await.unwrap();
        let (ended, event) = tokio::join!(host.close(), consumer.next());
        ended.unwrap();
        let error = event.map(|event| matches!(event, Event::Cancelled)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the process that ran the broker of {} has ended", directory.display())
        );
        assert_eq!(error.category(), Category::Unreachable);
        assert!(error.hint().is_some());
    });
}

#[test]
fn a_directory_has_one_host() {
    run(async |directory| {
        let options = HostOptions { directory: Some(directory.to_owned()), ..Default::default() };
        let host = Host::start(options.clone()).await.unwrap();
        let refused = Host::start(options.clone()).await.unwrap_err();
        assert!(matches!(refused, Error::DataDirectory { .. }), "{refused}");
        host.stop().await;
        let next = Host::start(options).await.unwrap();
        next.stop().await;
    });
}

#[test]
fn a_socket_that_a_killed_process_left_is_no_obstacle() {
    run(async |directory| {
        let left = std::os::unix::net::UnixListener::bind(directory.join("mq.sock")).unwrap();
        drop(left);
        let engine = open(directory).await.unwrap();
        declare(&engine).await;
        engine.close().await.unwrap();
    });
}
