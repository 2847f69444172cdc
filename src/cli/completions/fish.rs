//! Completions for fish: a line for each option, with the commands after which it is offered.

use argh::FlagInfo;

use super::{Level, Values, first_sentence, positional, value_name, values, with_values};

pub(super) fn script(levels: &[Level<'_>]) -> String {
    let options: Vec<&str> = with_values(levels).iter().map(|(long, _)| *long).collect();
    let paths: Vec<String> = levels.iter().map(|level| quoted(&level.path)).collect();
    let mut out = BEGIN.replace("OPTIONS", &options.join(" ")).replace("COMMANDS", &paths.join(" "));
    for level in levels {
        for command in &level.info.commands {
            let says = first_sentence(command.command.description);
            push_line(&[&level.path], &format!("-a {} -d {}", command.name, quoted(says)), &mut out);
        }
        if !level.info.commands.is_empty() {
            push_line(&[&level.path], "-a help -d 'Say what a command does'", &mut out);
        }
        if let Some(words) =
            positional(level).map(|argument| offers(values(argument.name))).filter(|words| *words != "-f")
        {
            push_line(&[&level.path], &words, &mut out);
        }
        for flag in level.info.flags {
            let goes_with =
                |other: &&Level<'_>| other.flags.iter().any(|known| std::ptr::eq::<FlagInfo<'_>>(*known, flag));
            let commands: Vec<_> = levels.iter().filter(goes_with).map(|other| other.path.as_str()).collect();
            let value = value_name(flag).map(|name| format!(" -r {}", offers(values(name)))).unwrap_or_default();
            let name = flag.long.trim_start_matches('-');
            push_line(&commands, &format!("-l {name}{value} -d {}", quoted(flag.description)), &mut out);
        }
    }
    out
}

fn push_line(commands: &[&str], what: &str, out: &mut String) {
    let commands: Vec<_> = commands.iter().map(|command| format!("\"{command}\"")).collect();
    out.push_str(&format!("complete -c mtls-min -n '__mtls_min_at {}' {what}\n", commands.join(" ")));
}

fn offers(values: Values) -> String {
    match values {
        Values::Files => "-F".to_owned(),
        Values::Directories => "-f -a '(__fish_complete_directories (commandline -ct))'".to_owned(),
        Values::DirectoriesBehindPrefix => "-f -a '(__mtls_min_directories)'".to_owned(),
        Values::Words(words) => format!("-f -a '{words}'"),
        Values::Unknown => "-f".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

const BEGIN: &str = r#"# fish completion of mtls-min, made by `mtls-min completions fish`

# Whether the words so far are one of these commands.
function __mtls_min_at
    set -l at mtls-min
    set -l is_value 0
    for word in (commandline -opc)[2..-1]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word OPTIONS
            set is_value 1
        else if contains -- "$at $word" COMMANDS
            set at "$at $word"
        end
    end
    contains -- $at $argv
end

# Directories, each behind the prefix that is typed.
function __mtls_min_directories
    set -l word (commandline -ct | string replace -r '^--[a-z-]+=' '')
    set -l prefix (string match -r '^/[^=]*=' -- $word)
    set -l typed (string replace -r '^/[^=]*=' '' -- $word)
    string replace -r '^' "$prefix" -- (__fish_complete_directories "$typed" '')
end

complete -c mtls-min -f
"#;
