//! Answers that need no program: the classic Fibonacci server, an echo, capitals.

use bytes::Bytes;

/// The largest index whose Fibonacci number has at most 128 bits.
const FIB_MAX: u8 = 186;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Builtin {
    Fib,
    Echo,
    Upper,
}

impl Builtin {
    /// The answer to a request. A request that makes no sense is answered too, or its caller would wait in vain.
    pub(super) fn answer(self, request: &Bytes) -> Bytes {
        match self {
            Self::Echo => request.clone(),
            Self::Upper => match std::str::from_utf8(request) {
                Ok(text) => text.to_uppercase().into(),
                Err(_) => request.to_ascii_uppercase().into(),
            },
            Self::Fib => {
                let index =
                    std::str::from_utf8(request).ok().and_then(|text| text.trim().parse().ok());
                if let Some(index) = index.filter(|index| *index <= FIB_MAX) {
                    return fibonacci(index).to_string().into();
                }
                let request = String::from_utf8_lossy(request);
                format!("error: '{request}' is not a number from 0 to {FIB_MAX}").into()
            }
        }
    }
}

fn fibonacci(index: u8) -> u128 {
    let (mut this, mut next) = (0_u128, 1_u128);
    for _ in 0..index {
        (this, next) = (next, this.wrapping_add(next));
    }
    this
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered() {
        #[rustfmt::skip]
        let cases = [
            (Builtin::Fib,   "0",     "0"),
            (Builtin::Fib,   "7",     "13"),
            (Builtin::Fib,   "30\n",  "832040"),
            (Builtin::Fib,   "186",   "332825110087067562321196029789634457848"),
            (Builtin::Fib,   "187",   "error: '187' is not a number from 0 to 186"),
            (Builtin::Fib,   "x",     "error: 'x' is not a number from 0 to 186"),
            (Builtin::Echo,  "a\nb",  "a\nb"),
            (Builtin::Upper, "grüße", "GRÜSSE"),
        ];
        for (builtin, request, answer) in cases {
            assert_eq!(builtin.answer(&Bytes::from(request)), answer, "{builtin:?} {request}");
        }
    }
}
