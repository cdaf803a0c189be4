//! Definitions: all that was declared, in the form in which RabbitMQ imports it.

use serde_json::{Map, Value};

use super::change_request::{ChangeOutcome, ChangeRequest};
use super::definition_lists;
use super::import::DefinitionsFile;
use super::refusal::Refusal;
use super::server_info::PRODUCT;
use super::view::{Names, View};
use crate::wire::ShortStr;

/// `GET /definitions`.
pub(super) fn of_broker(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let mut all = versions(view);
    all.insert("product_name".into(), PRODUCT.into());
    all.insert("product_version".into(), env!("CARGO_PKG_VERSION").into());
    let cluster = view.broker.cluster_name();
    all.insert("rabbitmq_definition_format".into(), "cluster".into());
    all.insert("explanation".into(), format!("Definitions of cluster '{cluster}'").into());
    all.insert("original_cluster_name".into(), cluster.into());
    all.extend(definition_lists::of_broker(view, names)?);
    Ok(all.into())
}

/// `GET /definitions/:vhost`: without the users, and without the vhost's name in every entry.
pub(super) fn of_vhost(view: &View<'_>, names: &Names) -> Result<Value, Refusal> {
    let vhost = match view.vhost(names.vhost()?) {
        Err(Refusal::NotFound) if !view.broker.compat().is_3_10() => {
            return Err(Refusal::bad_request("vhost_not_found"));
        }
        found => found?,
    };
    let name = vhost.name().as_str();
    let mut all = versions(view);
    all.insert("product_name".into(), PRODUCT.into());
    all.insert("product_version".into(), env!("CARGO_PKG_VERSION").into());
    all.insert("rabbitmq_definition_format".into(), "single_virtual_host".into());
    all.insert("explanation".into(), format!("Definitions of virtual host '{name}'").into());
    all.insert("original_vhost_name".into(), name.into());
    all.extend(definition_lists::about_vhost(view, &vhost));
    all.extend(definition_lists::of_vhost(view, names)?);
    Ok(all.into())
}

/// The release, by its name of old and by that of today.
fn versions(view: &View<'_>) -> Map<String, Value> {
    let version = view.broker.compat().version();
    let names = ["rabbit_version", "rabbitmq_version"];
    names.into_iter().map(|name| (name.to_owned(), version.into())).collect()
}

/// `POST /definitions`: what comes is JSON, or a form with a file of it.
pub(super) fn import(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    put(request, None)
}

/// `POST /definitions/:vhost`.
pub(super) fn import_into_vhost(request: &ChangeRequest<'_>) -> Result<ChangeOutcome, Refusal> {
    let name = request.names.vhost()?;
    let vhost = request.view.broker.vhost(name).map_err(|_| Refusal::vhost_not_found())?;
    put(request, Some(vhost.name()))
}

fn put(request: &ChangeRequest<'_>, vhost: Option<&ShortStr>) -> Result<ChangeOutcome, Refusal> {
    let bytes = file_of_form(&request.body).unwrap_or(&request.body);
    if bytes.is_empty() {
        // RabbitMQ takes nothing for definitions of nothing.
        return Ok(ChangeOutcome::Quietly);
    }
    let file = DefinitionsFile::read(bytes);
    let file = file.map_err(|_| Refusal::bad_request("failed_to_parse_json"))?;
    let view = &request.view;
    file.put(view.broker, vhost, Some(&view.user.name), view.uptime_ms)?;
    Ok(ChangeOutcome::Quietly)
}

/// The file in a form, as browsers send one (RFC 7578): the part called `file`, between the boundaries.
fn file_of_form(body: &[u8]) -> Option<&[u8]> {
    let body = body.strip_prefix(b"--")?;
    let line_end = find(body, b"\r\n")?;
    let boundary = [b"\r\n--", &body[..line_end]].concat();
    let mut rest = &body[line_end..];
    loop {
        let head_end = find(rest, b"\r\n\r\n")?;
        let (head, content) = (&rest[..head_end], &rest[head_end + 4..]);
        let end = find(content, &boundary)?;
        if find(head, b"name=\"file\"").is_some() {
            return Some(&content[..end]);
        }
        rest = &content[end + boundary.len()..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::file_of_form;

    #[test]
    fn the_file_of_a_form_is_found() {
        let form = b"--b1\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n/x\r\n--b1\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"f.json\"\r\nContent-Type: application/json\r\n\r\n\
            {\"a\": 1}\r\n--b1--\r\n";
        assert_eq!(file_of_form(form), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(file_of_form(b"{}"), None);
        assert_eq!(file_of_form(b"--b1\r\n"), None);
    }
}
