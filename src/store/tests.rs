//! The log as its callers see it.

use super::*;

/// Everything that waits, by queue.
#[derive(Default)]
struct Found(Vec<(QueueId, Waiting)>);

impl Recovered for Found {
    fn is_known(&self, queue: QueueId) -> bool {
        queue.0 < 100
    }

    fn on_waiting(&mut self, queue: QueueId, waiting: Waiting) {
        self.0.push((queue, waiting));
    }
}

fn open(directory: &Path) -> (Store, Vec<(QueueId, Waiting)>) {
    let mut found = Found::default();
    let (store, _) = Store::open(directory, &mut found).unwrap();
    (store, found.0)
}

fn append(store: &Store, queues: &[u32], body: &[u8]) -> Appended {
    let queues: Vec<QueueId> = queues.iter().map(|id| QueueId(*id)).collect();
    let new =
        NewRecord { published_at: 7, priority: Some(2), ..NewRecord::of_bytes(&queues, body) };
    store.append(&new).unwrap()
}

fn wait(store: &Store, batch: Batch) -> Outcome {
    store.kept.wait_for(batch);
    store.outcome(batch)
}

fn ranges(places: &[Place]) -> SlotRanges {
    places.iter().copied().collect()
}

fn bodies(store: &Store, places: &[Place]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    store.read(places, &mut |_, record| bodies.push(record.unwrap().bytes.to_vec()));
    bodies
}

#[test]
fn what_was_synced_is_there_after_the_store_is_gone_and_what_was_settled_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (store, found) = open(directory.path());
    assert!(found.is_empty());
    let one = append(&store, &[1, 2], b"one");
    let two = append(&store, &[1], &vec![7; 100_000]);
    let gone = append(&store, &[500], b"no queue");
    assert_eq!(bodies(&store, &[one.first, two.first]), [b"one".to_vec(), vec![7; 100_000]]);
    assert_eq!(wait(&store, gone.batch), Outcome::Synced);
    let batch = store.settle_synced(&ranges(&[one.first]));
    assert_eq!(wait(&store, batch), Outcome::Synced);
    // As after a kill: nothing is closed.
    std::mem::forget(store);
    let (store, found) = open(directory.path());
    let queues: Vec<u32> = found.iter().map(|(queue, _)| queue.0).collect();
    assert_eq!(queues, [2, 1]);
    let places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
    assert_eq!(bodies(&store, &places), [b"one".to_vec(), vec![7; 100_000]]);
    let three = append(&store, &[1], b"three");
    assert_eq!(wait(&store, three.batch), Outcome::Synced);
    store.close();
    drop(store);
    let (store, found) = open(directory.path());
    let sequences: Vec<u64> = found.iter().map(|(_, waiting)| waiting.sequence).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    assert_eq!(found.len(), 3);
    store.close();
}

#[test]
fn files_are_used_again_when_their_messages_are_settled() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let body = vec![1; 1 << 20];
    let mut kept = Vec::new();
    for _ in 0..200 {
        let appended = append(&store, &[1], &body);
        kept.push(appended.first);
        assert_eq!(wait(&store, appended.batch), Outcome::Synced);
        if kept.len() == 10 {
            let batch = store.settle_synced(&ranges(&kept));
            kept.clear();
            assert_eq!(wait(&store, batch), Outcome::Synced);
        }
    }
    store.close();
    let files = std::fs::read_dir(directory.path().join(MESSAGES_FOLDER)).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 3 * u64::from(Options::default().file_bytes), "{bytes} bytes");
    let (store, found) = open(directory.path());
    assert!(found.is_empty());
    store.close();
}

#[test]
fn spilled_messages_are_read_back_and_gone_after_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    let new =
        NewRecord { time_to_live_ms: Some(5), ..NewRecord::of_bytes(&[QueueId(1)], b"spilled") };
    let places: Vec<Place> = (0..1000).map(|_| store.spill(&new).unwrap()).collect();
    assert!(bodies(&store, &places).iter().all(|body| body == b"spilled"));
    let settled = ranges(&places);
    store.settle(&settled);
    store.close();
    let (store, found) = open(directory.path());
    assert!(found.is_empty());
    store.close();
}

/// A directory with small files and no threads.
fn small(directory: &Path) -> (Store, Vec<(QueueId, Waiting)>) {
    let folder = |name: &str| -> Arc<dyn Medium> {
        Arc::new(Directory::open(&directory.join(name), Access::Write).unwrap())
    };
    let options = Options { file_bytes: 64 << 10 };
    let mut found = Found::default();
    let (kept, spill) = (folder(MESSAGES_FOLDER), folder(SPILL_FOLDER));
    let (store, _) = Store::open_on(kept, spill, options, &mut found).unwrap();
    (store, found.0)
}

#[test]
fn a_slow_queue_does_not_hold_the_room_of_a_busy_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = small(directory.path());
    let (mut slow, mut settled) = (Vec::new(), SlotRanges::default());
    for nth in 0..20_000_u32 {
        if nth % 100 == 0 {
            slow.push((nth, append(&store, &[2], &nth.to_le_bytes()).first));
        }
        settled.push(append(&store, &[1], &[7; 200]).first);
        if nth % 50 == 0 {
            store.settle(&std::mem::take(&mut settled));
            store.step();
        }
        if nth % 2000 == 0 {
            store.step_round();
        }
    }
    store.settle(&settled);
    store.step();
    store.step_round();
    let files = std::fs::read_dir(directory.path().join(MESSAGES_FOLDER)).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 10 * (64 << 10), "{bytes} bytes for 200 small messages");
    // Half of them are settled by the places they had at first.
    let (early, late) = slow.split_at(100);
    let early: Vec<Place> = early.iter().map(|(_, place)| *place).collect();
    store.settle(&ranges(&early));
    let places: Vec<Place> = late.iter().map(|(_, place)| *place).collect();
    let expected: Vec<_> = late.iter().map(|(nth, _)| nth.to_le_bytes().to_vec()).collect();
    assert_eq!(bodies(&store, &places), expected);
    store.step();
    drop(store);
    let (store, mut found) = small(directory.path());
    found.sort_by_key(|(_, waiting)| waiting.sequence);
    let places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
    assert_eq!(bodies(&store, &places), expected);
}

/// The move of a file's last messages was cut short by a crash; later the copies are settled and given up.
#[test]
fn an_original_does_not_come_back_when_its_copy_is_gone() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let folder = |directory: &tempfile::TempDir| directory.path().join(MESSAGES_FOLDER);
    let files = |directory| std::fs::read_dir(folder(directory)).unwrap().map(Result::unwrap);
    let (store, _) = small(here.path());
    let mut slow = Vec::new();
    for nth in 0..4000_u32 {
        if nth % 500 == 0 {
            slow.push(append(&store, &[2], &nth.to_le_bytes()).first);
        }
        let busy = append(&store, &[1], &[7; 200]).first;
        store.settle(&ranges(&[busy]));
        store.step();
    }
    std::fs::create_dir(folder(&there)).unwrap();
    for file in files(&here) {
        std::fs::copy(file.path(), folder(&there).join(file.file_name())).unwrap();
    }
    store.settle(&ranges(&slow[..1]));
    store.step();
    store.step_round();
    let is_survivors = |path: &Path| std::fs::read(path).unwrap()[12] == 2;
    let logs = files(&here).map(|file| file.path());
    let mut logs = logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    let survivors = logs.find(|path| is_survivors(path)).expect("some were moved");
    std::fs::copy(survivors, folder(&there).join("00009999.log")).unwrap();

    let (store, found) = small(there.path());
    assert_eq!(found.len(), slow.len());
    let mut places: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
    places.retain(|place| bodies(&store, &[*place]) != [0_u32.to_le_bytes()]);
    assert_eq!(places.len(), slow.len() - 1);
    let batch = store.settle_synced(&ranges(&places));
    store.step();
    assert_eq!(store.outcome(batch), Outcome::Synced);
    store.step_round();
    drop(store);
    let (store, found) = small(there.path());
    let left: Vec<Place> = found.iter().map(|(_, waiting)| waiting.place).collect();
    assert_eq!(bodies(&store, &left), [0_u32.to_le_bytes()]);
}
