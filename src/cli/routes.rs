//! The options that say what stands behind the gate, each for the paths below a prefix. Without any of them it is `hello world`.

use std::path::Path;

use super::sandbox::Needs;
use super::{CommandLine, hello};
use crate::error::Error;
use crate::handler::Handler;
use crate::handler::files::Files;
use crate::handler::forward::Forward;
use crate::handler::request::Request;
use crate::handler::routes::Routes;
use crate::http1::read_prefix;

/// What answers, and what the start says of it.
#[derive(Default)]
pub(super) struct Table {
    pub(super) routes: Routes,
    /// Of each option a word for programs, and a line.
    pub(super) lines: Vec<(&'static str, String)>,
    pub(super) needs: Needs,
    taken: Vec<(String, String)>,
}

/// What an option asks for: `--files /docs=/srv/docs`.
struct Asked<'l> {
    option: &'static str,
    text: &'l str,
    prefix: &'l str,
    value: &'l str,
}

/// Whether anything but `hello world` is asked for.
pub(super) fn are_asked_for(line: &CommandLine) -> bool {
    !line.files.is_empty() || !line.forward.is_empty()
}

/// What stands behind the gate. Nothing listens yet. `other` answers where nothing is asked for.
pub(super) fn table(line: &CommandLine, other: Option<Box<dyn Handler>>) -> Result<Table, Error> {
    let mut table = Table::default();
    for text in &line.files {
        let asked = table.take("--files", text)?;
        let handler = files(&asked, line)?;
        table.needs.folder(Path::new(asked.value));
        table.add("files", "from", &asked, handler)?;
    }
    for text in &line.forward {
        let asked = table.take("--forward", text)?;
        let forward = forward(&asked, line)?;
        table.needs.application(forward.reach());
        let handler = move |request: &mut Request<'_>| forward.answer(request);
        table.add("forward", "to", &asked, handler)?;
    }
    for (option, is_given) in [
        ("--strip-prefix", line.strip_prefix),
        ("--forward-chain", line.forward_chain),
        ("--forward-timeout", line.forward_timeout.is_some()),
    ] {
        if is_given && line.forward.is_empty() {
            return Err(Error::new(format!("{option} is about applications, but there is no --forward"))
                .hint("name one with --forward"));
        }
    }
    if line.list_files && line.files.is_empty() {
        return Err(Error::new("--list-files is about folders, but there is no --files").hint("name one with --files"));
    }
    if let Some(other) = other {
        table.routes = table.routes.at("/", move |request: &mut Request<'_>| other.handle(request))?;
    } else if !are_asked_for(line) {
        table.routes = table.routes.at("/", hello::hello)?;
    }
    Ok(table)
}

impl Table {
    /// Reads an option, and keeps its prefix for it.
    fn take<'l>(&mut self, option: &'static str, text: &'l str) -> Result<Asked<'l>, Error> {
        let (prefix, value) = split(text);
        let asked = Asked { option, text, prefix, value };
        let key = read_prefix(prefix).map_err(|why| asked.wrong(&why))?;
        if value.is_empty() {
            return Err(asked.wrong("it says nothing to serve"));
        }
        if let Some((_, before)) = self.taken.iter().find(|(taken, _)| taken == key) {
            return Err(asked.wrong(&format!("{prefix} is taken by {before}")).hint("leave one of them out"));
        }
        self.taken.push((key.to_owned(), format!("{option} {text}")));
        Ok(asked)
    }

    /// `kind` stands in the line that the start says, before what is asked for, and is its word for programs.
    fn add(
        &mut self,
        kind: &'static str,
        preposition: &str,
        asked: &Asked<'_>,
        handler: impl Handler + 'static,
    ) -> Result<(), Error> {
        self.routes = std::mem::take(&mut self.routes).at(asked.prefix, handler)?;
        self.lines.push((kind, format!("{kind}: {} {preposition} {}", asked.prefix, asked.value)));
        Ok(())
    }
}

impl Asked<'_> {
    fn wrong(&self, why: &str) -> Error {
        Error::new(format!("{} {}: {why}", self.option, self.text))
    }
}

/// `[PREFIX=]VALUE`: a prefix begins with a slash and ends at the first `=`. A value that looks so itself is written with its
/// prefix: `/=/srv/a=b`.
fn split(text: &str) -> (&str, &str) {
    match text.split_once('=') {
        Some(parts) if text.starts_with('/') => parts,
        _ => ("/", text),
    }
}

fn files(asked: &Asked<'_>, line: &CommandLine) -> Result<impl Handler + 'static, Error> {
    let files = Files::new(asked.value).map_err(|error| {
        let error = asked.wrong("the folder cannot be served").caused_by(error);
        match asked.text.contains('=') && !asked.value.starts_with('/') {
            true => error.hint(format!("if it is the folder {0} that is meant, write /={0}", asked.text)),
            false => error,
        }
    })?;
    let files = files.at_prefix(asked.prefix)?;
    let files = if line.list_files { files.list() } else { files };
    Ok(move |request: &mut Request<'_>| files.answer(request))
}

fn forward(asked: &Asked<'_>, line: &CommandLine) -> Result<Forward, Error> {
    let mut forward = Forward::to(asked.value)
        .map_err(|error| asked.wrong("that is not the address of an application").caused_by(error))?;
    if line.strip_prefix {
        forward = forward.strip_prefix(asked.prefix)?;
    }
    if line.forward_chain {
        forward = forward.with_chain();
    }
    if let Some(timeout) = line.forward_timeout {
        forward = forward.timeout(timeout);
    }
    Ok(forward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_begins_with_a_slash_and_ends_at_the_first_equals_sign() {
        for (text, prefix, value) in [
            ("/srv/docs", "/", "/srv/docs"),
            ("docs", "/", "docs"),
            ("a=b", "/", "a=b"),
            ("./a=b", "/", "./a=b"),
            ("http://a/?b=c", "/", "http://a/?b=c"),
            ("/docs=/srv/docs", "/docs", "/srv/docs"),
            ("/docs=a=b", "/docs", "a=b"),
            ("/=/srv/a=b", "/", "/srv/a=b"),
            ("/srv/a=b", "/srv/a", "b"),
            ("/docs=", "/docs", ""),
        ] {
            assert_eq!(split(text), (prefix, value), "{text}");
        }
    }
}
