//! Completions for zsh: a function for each command, which hands its words to `_arguments`.

use argh::{FlagInfo, Optionality};

use super::{Level, Values, first_sentence, positional, value_name, values};

pub(super) fn script(levels: &[Level<'_>]) -> String {
    let mut out = "#compdef mtls-min\n# zsh completion of mtls-min, made by `mtls-min completions zsh`\n".to_owned();
    for level in levels {
        push_function(level, &mut out);
    }
    out.push_str(END);
    out
}

fn push_function(level: &Level<'_>, out: &mut String) {
    let name = function(&level.path);
    out.push_str(&format!("\n{name}() {{\n    local curcontext=$curcontext state ret=1\n    _arguments -C"));
    for flag in &level.flags {
        out.push_str(&format!(" \\\n        {}", quoted(&option(flag))));
    }
    if let Some(argument) = positional(level) {
        let optional = if argument.optionality == Optionality::Required { ":" } else { "::" };
        let spec = format!("1{optional}{}:{}", escaped(argument.name), action(values(argument.name)));
        out.push_str(&format!(" \\\n        {}", quoted(&spec)));
    }
    if level.info.commands.is_empty() {
        out.push_str(" && ret=0\n    return ret\n}\n");
        return;
    }
    out.push_str(" \\\n        '1: :->command' '*:: :->rest' && ret=0\n    case $state in\n    command)\n        local -a commands=(\n");
    for command in &level.info.commands {
        let says = format!("{}:{}", command.name, first_sentence(command.command.description));
        out.push_str(&format!("            {}\n", quoted(&says)));
    }
    out.push_str("            'help:Say what a command does'\n        )\n        _describe -t commands command commands && ret=0 ;;\n    rest)\n        case $words[1] in\n");
    out.push_str(&format!("        help) {name} && ret=0 ;;\n"));
    for command in &level.info.commands {
        out.push_str(&format!("        {0}) {name}_{0} && ret=0 ;;\n", command.name));
    }
    out.push_str("        esac ;;\n    esac\n    return ret\n}\n");
}

fn function(path: &str) -> String {
    format!("_{}", path.replace(['-', ' '], "_"))
}

/// An option as `_arguments` takes it, `*--ca=[what it says]:file:_files`.
fn option(flag: &FlagInfo<'_>) -> String {
    let again = if flag.optionality == Optionality::Repeating { "*" } else { "" };
    let says = escaped(flag.description);
    match value_name(flag) {
        Some(name) => format!("{again}{}=[{says}]:{}:{}", flag.long, escaped(name), action(values(name))),
        None => format!("{again}{}[{says}]", flag.long),
    }
}

fn action(values: Values) -> String {
    match values {
        Values::Files => "_files".to_owned(),
        Values::Directories => "_directories".to_owned(),
        Values::DirectoriesBehindPrefix => "{ compset -P 1 \"/*=\"; _directories }".to_owned(),
        Values::Words(words) => format!("({words})"),
        // Nothing. A message in its place would keep zsh from completing an option where an argument could be.
        Values::Unknown => "()".to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '[' | ']' | ':') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Works both as a file of `fpath`, whose first call is the completion itself, and sourced.
const END: &str = r#"
if [[ $funcstack[1] == _mtls-min ]]; then
    _mtls_min "$@"
else
    compdef _mtls_min mtls-min
fi
"#;
