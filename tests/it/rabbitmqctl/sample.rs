//! Recorded runs of RabbitMQ's programs.

/// One run: its command line and what it did.
#[derive(Clone, Debug)]
pub(super) struct RecordedRun {
    /// The line of the file, to find it again
    pub(super) line: usize,
    /// As it was recorded, the program first
    pub(super) command: String,
    pub(super) stdin: String,
    pub(super) ended: EndedRun,
}

/// What a run printed, and its exit code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EndedRun {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: i32,
}

/// Arguments with spaces in them, which the recording does not show.
const WITH_SPACES: [&str; 3] = ["my name", "my d", "go away"];
const SPACE: char = '\u{1f}';

impl RecordedRun {
    /// The words of the command line behind the program.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut line = self.command.clone();
        for words in WITH_SPACES {
            line = line.replace(words, &words.replace(' ', &SPACE.to_string()));
        }
        let words = line.split(' ').skip(1).map(|word| word.replace(SPACE, " "));
        let words: Vec<String> = words.collect();
        if words == [""] { Vec::new() } else { words }
    }

    pub(super) fn program(&self) -> &str {
        self.command.split(' ').next().unwrap()
    }
}

/// Reads a file of runs.
pub(super) fn runs(text: &str) -> Vec<RecordedRun> {
    let mut runs = Vec::new();
    let mut open: Option<RecordedRun> = None;
    for (place, line) in text.split_inclusive('\n').enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            let command = command.trim_end_matches('\n');
            let (command, stdin) = match command.split_once("   # stdin: '") {
                Some((command, stdin)) => {
                    (command, stdin.trim_end_matches('\'').replace("\\n", "\n"))
                }
                None => (command, String::new()),
            };
            let ended = EndedRun::default();
            open = Some(RecordedRun { line: place + 1, command: command.to_owned(), stdin, ended });
        } else if let Some(run) = &mut open {
            // A text without the end of a line has the code behind it.
            let code = line.rfind("[rc ").filter(|_| line.trim_end().ends_with(']'));
            if let Some(at) = code {
                run.ended.stdout += &line[..at];
                let code = line[at + 4..].trim_end().trim_end_matches(']');
                run.ended.code = code.parse().unwrap();
                runs.extend(open.take());
            } else if let Some(text) = line.strip_prefix("[stderr] ") {
                run.ended.stderr += text;
            } else {
                run.ended.stdout += line;
            }
        }
    }
    runs
}

#[test]
fn a_recording_is_read() {
    let text = "\n######## a heading\n$ rabbitmqctl add_user u3 \nAdding user \"u3\" ...\n[stderr] Error:\n[rc 65]\n\
                $ rabbitmqctl export_definitions - \n{}[rc 0]\n$ rabbitmqctl add_user u4   # stdin: 'pw4\\n'\n[rc 0]\n";
    let runs = runs(text);
    assert_eq!(runs.len(), 3);
    assert_eq!(runs[0].arguments(), ["add_user", "u3", ""]);
    assert_eq!((runs[0].ended.stderr.as_str(), runs[0].ended.code), ("Error:\n", 65));
    assert_eq!((runs[1].ended.stdout.as_str(), runs[1].line), ("{}", 7));
    assert_eq!(
        (runs[2].stdin.as_str(), runs[2].command.as_str()),
        ("pw4\n", "rabbitmqctl add_user u4")
    );
}
