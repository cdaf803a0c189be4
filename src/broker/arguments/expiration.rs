//! The `expiration` property of a message: a time to live as text.

use super::noun::precondition;
use super::values::EXPIRY_MAX_MS;
use crate::wire::Fault;

/// Reads the `expiration` property: a text of milliseconds.
///
/// # Errors
///
/// `PRECONDITION_FAILED` with the texts of RabbitMQ's `rabbit_basic:parse_expiration`.
pub fn parse_expiration(text: &str) -> Result<u64, Fault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let why = if len == 0 {
        "no_integer".to_owned()
    } else if len < digits.len() {
        format!("{{leftover_string,\"{}\"}}", &digits[len..])
    } else if text.starts_with('-') && digits.bytes().any(|digit| digit != b'0') {
        format!("{{value_negative,{text}}}")
    } else {
        match digits.parse::<u64>() {
            Ok(ms) if ms <= EXPIRY_MAX_MS.unsigned_abs() => return Ok(ms),
            _ => too_large(digits, text),
        }
    };
    Err(precondition(format!("invalid expiration '{text}': {why}")))
}

/// Erlang's printer breaks the line and indents when the whole term passes 80 columns.
fn too_large(digits: &str, text: &str) -> String {
    let digits = digits.trim_start_matches('0');
    let column = "invalid expiration '': {".len() + text.len();
    if column + "value_too_large,".len() + digits.len() + 1 > 80 {
        return format!("{{value_too_large,\n{}{digits}}}", " ".repeat(column));
    }
    format!("{{value_too_large,{digits}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts seen on RabbitMQ 3.10.8.
    #[test]
    fn bad_expirations_are_refused_in_rabbitmqs_words() {
        let cases = [
            ("abc", "invalid expiration 'abc': no_integer"),
            ("", "invalid expiration '': no_integer"),
            ("-1", "invalid expiration '-1': {value_negative,-1}"),
            ("1.5", "invalid expiration '1.5': {leftover_string,\".5\"}"),
            (
                "99999999999999",
                "invalid expiration '99999999999999': {value_too_large,99999999999999}",
            ),
            (
                "99999999999999999999",
                "invalid expiration '99999999999999999999': {value_too_large,\n                                            99999999999999999999}",
            ),
        ];
        for (text, told) in cases {
            assert_eq!(parse_expiration(text).unwrap_err().text, told, "{text:?}");
        }
        assert_eq!(parse_expiration("60000"), Ok(60_000));
        assert_eq!(parse_expiration("0"), Ok(0));
    }
}
