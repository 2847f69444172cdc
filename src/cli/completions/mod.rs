//! `mtls-min completions`: what completes the words of the command line in a shell. Made from what `--help` is made from.

mod bash;
mod fish;
mod zsh;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind, FromArgs, PositionalInfo};

use super::CommandLine;
use crate::error::Error;

/// Print what completes the words of this command in a shell.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
#[argh(
    subcommand,
    name = "completions",
    help_triggers("-h", "--help"),
    example = "  {command_name} bash >~/.local/share/bash-completion/completions/mtls-min\n  {command_name} zsh >~/.zfunc/_mtls-min\n  {command_name} fish >~/.config/fish/completions/mtls-min.fish",
    note = "The directory that zsh reads must be in its fpath, before compinit is called: fpath+=(~/.zfunc)"
)]
pub(super) struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl argh::FromArgValue for Shell {
    fn from_arg_value(value: &str) -> Result<Self, String> {
        match value {
            "bash" => Ok(Self::Bash),
            "zsh" => Ok(Self::Zsh),
            "fish" => Ok(Self::Fish),
            _ => Err("not a shell that is known here: bash, zsh or fish".to_owned()),
        }
    }
}

pub(super) fn run(completions: &Completions, line: &CommandLine) -> Result<(), Error> {
    super::without_options(line, "completions")?;
    print_result!("{}", script(completions.shell, &CommandLine::get_args_info()));
    Ok(())
}

fn script(shell: Shell, root: &CommandInfoWithArgs) -> String {
    let levels = levels(root);
    match shell {
        Shell::Bash => bash::script(&levels),
        Shell::Zsh => zsh::script(&levels),
        Shell::Fish => fish::script(&levels),
    }
}

/// A command, with what may follow it.
pub(super) struct Level<'i> {
    /// The words that name it, for example `mtls-min certs client`.
    pub(super) path: String,
    pub(super) info: &'i CommandInfoWithArgs,
    /// Its own options, then those of the commands above that go with it.
    flags: Vec<&'i FlagInfo<'i>>,
}

/// All commands; each one stands before its subcommands.
pub(super) fn levels<'i>(root: &'i CommandInfoWithArgs) -> Vec<Level<'i>> {
    let mut levels = Vec::new();
    add_level("mtls-min".to_owned(), root, &[], &mut levels);
    levels
}

fn add_level<'i>(path: String, info: &'i CommandInfoWithArgs, above: &[&'i FlagInfo<'i>], out: &mut Vec<Level<'i>>) {
    let is_new = |flag: &&FlagInfo<'_>| !has(info, flag.long);
    let flags: Vec<_> = info.flags.iter().chain(above.iter().copied().filter(is_new)).collect();
    let is_root = out.is_empty();
    out.push(Level { path: path.clone(), info, flags: flags.clone() });
    for command in &info.commands {
        // Of the server's commands, those that serve take its options, too.
        let passed: &[_] = if is_root && !has(&command.command, "--listen") { &[] } else { &flags };
        add_level(format!("{path} {}", command.name), &command.command, passed, out);
    }
}

fn has(info: &CommandInfoWithArgs, option: &str) -> bool {
    info.flags.iter().any(|flag| flag.long == option)
}

/// What the value of an option can be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Values {
    Files,
    Directories,
    /// A directory, perhaps behind a prefix and a `=`.
    DirectoriesBehindPrefix,
    /// These words, between blanks.
    Words(&'static str),
    /// Nothing that a shell could know.
    Unknown,
}

/// The value of an option, or of a positional argument, by its name in the help.
fn values(name: &str) -> Values {
    match name {
        "file" => Values::Files,
        "dir" => Values::Directories,
        "[prefix=]dir" => Values::DirectoriesBehindPrefix,
        "form" => Values::Words("text json off"),
        "what" => Values::Words("refuse warn"),
        "bits" => Values::Words("2048 4096"),
        "reason" => Values::Words(
            "unspecified key-compromise affiliation-changed superseded cessation-of-operation privilege-withdrawn",
        ),
        "shell" => Values::Words("bash zsh fish"),
        _ => Values::Unknown,
    }
}

/// The name of an option's value; a switch has none.
pub(super) fn value_name<'i>(flag: &FlagInfo<'i>) -> Option<&'i str> {
    match flag.kind {
        FlagInfoKind::Option { arg_name } => Some(arg_name),
        FlagInfoKind::Switch => None,
    }
}

/// Every option that has a value, once, with what the value can be. An option means the same in all commands.
fn with_values<'i>(levels: &[Level<'i>]) -> Vec<(&'i str, Values)> {
    let mut found: Vec<(&str, Values)> = Vec::new();
    for flag in levels.iter().flat_map(|level| level.info.flags) {
        if let Some(name) = value_name(flag).filter(|_| found.iter().all(|(long, _)| *long != flag.long)) {
            found.push((flag.long, values(name)));
        }
    }
    found
}

fn positional<'i>(level: &Level<'i>) -> Option<&'i PositionalInfo<'i>> {
    level.info.positionals.first()
}

/// What the help says of a command: its first sentence.
fn first_sentence(description: &str) -> &str {
    let end = [". ", ": "].iter().filter_map(|end| description.find(end)).min().unwrap_or(description.len());
    description[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_of_an_option_is_known_by_its_name_in_the_help() {
        // What a shell cannot know. A new name belongs here, or into `values`.
        let unknown = [
            "addr",
            "addr:port",
            "addr|unix:path",
            "address",
            "cidr",
            "host",
            "method",
            "n",
            "name",
            "path",
            "[prefix=]url",
            "rule",
            "s",
            "time",
            "uri",
        ];
        let root = CommandLine::get_args_info();
        for level in levels(&root) {
            for flag in level.info.flags {
                let Some(name) = value_name(flag) else { continue };
                match values(name) {
                    Values::Unknown => assert!(unknown.contains(&name), "{}: {name}", flag.long),
                    Values::Words(words) => {
                        for word in words.split(' ') {
                            assert!(flag.description.contains(word), "{}: {word}", flag.long);
                        }
                    }
                    _ => {}
                }
            }
            assert!(level.info.positionals.len() <= 1, "{}", level.path);
        }
    }

    #[test]
    fn an_option_has_a_value_of_the_same_kind_in_every_command() {
        let root = CommandLine::get_args_info();
        let levels = levels(&root);
        let found = with_values(&levels);
        for flag in levels.iter().flat_map(|level| level.info.flags) {
            let expected = found.iter().find(|(long, _)| *long == flag.long).map(|(_, values)| *values);
            assert_eq!(value_name(flag).map(values), expected, "{}", flag.long);
        }
    }
}
