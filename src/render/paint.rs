//! Colour, as the few ANSI codes every terminal knows.

/// A colour or weight that makes a piece of text stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Paint {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
        }
    }
}

/// The text between the codes that switch its colour on and off.
pub fn painted(paint: Paint, text: &str) -> String {
    format!("\x1b[{}m{text}\x1b[0m", paint.code())
}
