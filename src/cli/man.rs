//! `mtls-min man`: the manual page, made from what `--help` is made from.

use std::time::{Duration, SystemTime};

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FromArgs, Optionality};

use super::CommandLine;
use super::completions::{Level, levels, value_name};
use crate::clock::timestamp;
use crate::error::Error;

/// Print the manual page, for `man -l` or a file mtls-min.1.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(subcommand, name = "man", help_triggers("-h", "--help"))]
pub(super) struct Man {}

pub(super) fn run(line: &CommandLine) -> Result<(), Error> {
    super::without_options(line, "man")?;
    // Packages that are built twice are the same: https://reproducible-builds.org/specs/source-date-epoch/
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let made = epoch.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    print_result!("{}", page(&CommandLine::get_args_info(), made.unwrap_or_else(SystemTime::now)));
    Ok(())
}

fn page(root: &CommandInfoWithArgs, made: SystemTime) -> String {
    let date = timestamp(made);
    let date = date.split('T').next().unwrap_or_default();
    let mut out = format!(".TH MTLS\\-MIN 1 {date} \"mtls\\-min {}\" \"User Commands\"\n", env!("CARGO_PKG_VERSION"));
    let levels = levels(root);
    for (at, level) in levels.iter().enumerate() {
        match at {
            0 => push_root(level, &mut out),
            _ => push_command(level, &mut out),
        }
    }
    out.push_str(END);
    out
}

fn push_root(level: &Level<'_>, out: &mut String) {
    out.push_str(".SH NAME\nmtls\\-min \\- HTTPS server for the holders of client certificates\n");
    out.push_str(".SH SYNOPSIS\n.B mtls\\-min\n.RI [ options ]\n.RI [ command ]\n.RI [ arguments ]\n");
    out.push_str(".SH DESCRIPTION\n");
    push_text(level.info.description, out);
    out.push_str(
        "Options may come before or after the command, as\n.B \\-\\-option value\nor\n.BR \\-\\-option=value .\n",
    );
    push_notes(level.info, out);
    out.push_str(".SH OPTIONS\n");
    push_options(level.info, out);
    push_examples(level, ".SH EXAMPLES\n", out);
    out.push_str(".SH COMMANDS\n");
}

fn push_command(level: &Level<'_>, out: &mut String) {
    out.push_str(&format!(".SS {}", escaped(&level.path)));
    for argument in level.info.positionals {
        out.push_str(&match argument.optionality {
            Optionality::Required => format!(" {}", argument.name.to_uppercase()),
            _ => format!(" [{}]", argument.name.to_uppercase()),
        });
    }
    out.push('\n');
    push_text(level.info.description, out);
    for argument in level.info.positionals {
        out.push_str(&format!(".TP\n\\fI{}\\fR\n", escaped(&argument.name.to_uppercase())));
        push_text(argument.description, out);
    }
    push_options(level.info, out);
    push_notes(level.info, out);
    push_examples(level, ".PP\n", out);
}

fn push_options(info: &CommandInfoWithArgs, out: &mut String) {
    for flag in info.flags {
        out.push_str(&format!(".TP\n{}\n", heading(flag)));
        push_text(flag.description, out);
    }
}

fn heading(flag: &FlagInfo<'_>) -> String {
    let short = flag.short.map(|letter| format!("\\fB\\-{letter}\\fR, ")).unwrap_or_default();
    let value = value_name(flag).map(|name| format!(" \\fI{}\\fR", escaped(name))).unwrap_or_default();
    format!("{short}\\fB{}\\fR{value}", escaped(flag.long))
}

fn push_notes(info: &CommandInfoWithArgs, out: &mut String) {
    for note in info.notes {
        out.push_str(".PP\n");
        push_text(note, out);
    }
}

fn push_examples(level: &Level<'_>, heading: &str, out: &mut String) {
    if level.info.examples.is_empty() {
        return;
    }
    // A paragraph of its own, or a section.
    out.push_str(heading);
    for example in level.info.examples {
        out.push_str(".EX\n");
        push_text(&example.replace("{command_name}", &level.path), out);
        out.push_str(".EE\n");
    }
}

/// Lines of text. None of them is taken for a request of roff.
fn push_text(text: &str, out: &mut String) {
    for line in text.lines() {
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        out.push_str(&escaped(line));
        out.push('\n');
    }
}

/// A hyphen stays one that can be pasted.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

const END: &str = "\
.SH \"EXIT STATUS\"
.TP
.B 0
done;
.B check
says that the client would be authorised
.TP
.B 1
failed;
.B check
says that the client would be refused
.TP
.B 2
used wrongly;
.B check
could not tell
.SH SIGNALS
.TP
.B SIGHUP
reads all files anew
.TP
.B SIGTERM, SIGINT
let running answers finish; a second one ends at once
.SH \"SEE ALSO\"
.BR openssl (1),
.BR curl (1)
";
