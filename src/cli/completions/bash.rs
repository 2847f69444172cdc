//! Completions for bash. Its words end at `=` and `:`, so `--option=value`, `prefix=dir` and `addr:port` are three each.

use super::{Level, Values, positional, values, with_values};

pub(super) fn script(levels: &[Level<'_>]) -> String {
    let options = with_values(levels);
    let all: Vec<&str> = options.iter().map(|(long, _)| *long).collect();
    let mut out = BEGIN.replace("OPTIONS", &all.join("|")).replace("COMMANDS", &paths(levels));
    for (long, values) in options.iter().filter(|(_, values)| *values != Values::Unknown) {
        push_case(long, &replies(*values), &mut out);
    }
    out.push_str("    '') case $command in\n");
    for level in levels {
        let flags = level.flags.iter().map(|flag| flag.long).collect::<Vec<_>>().join(" ");
        let commands = level.info.commands.iter().map(|command| command.name);
        let commands: Vec<_> = commands.chain((!level.info.commands.is_empty()).then_some("help")).collect();
        let after = match positional(level) {
            Some(argument) => replies(values(argument.name)),
            None if commands.is_empty() => ":".to_owned(),
            None => format!("_mtls_min_reply -W '{}'", commands.join(" ")),
        };
        push_case(&format!("'{}'", level.path), &format!("flags='{flags}'; [[ $cur == -* ]] || {after}"), &mut out);
    }
    out.push_str(END);
    out
}

fn paths(levels: &[Level<'_>]) -> String {
    levels[1..].iter().map(|level| format!("'{}'", level.path)).collect::<Vec<_>>().join("|")
}

fn push_case(pattern: &str, then: &str, out: &mut String) {
    out.push_str(&format!("    {pattern}) {then} ;;\n"));
}

/// What puts the possible values into the reply.
fn replies(values: Values) -> String {
    match values {
        Values::Files => "_mtls_min_reply -f".to_owned(),
        Values::Directories | Values::DirectoriesBehindPrefix => "_mtls_min_reply -d".to_owned(),
        Values::Words(words) => format!("_mtls_min_reply -W '{words}'"),
        Values::Unknown => ":".to_owned(),
    }
}

const BEGIN: &str = r#"# bash completion of mtls-min, made by `mtls-min completions bash`

_mtls_min_reply() {
    local reply
    [[ $1 == -W ]] || compopt -o filenames 2>/dev/null
    while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(compgen "$@" -- "$cur")
}

_mtls_min() {
    local cur=${COMP_WORDS[COMP_CWORD]} command=mtls-min word flags i
    # The option whose value comes next, and the one whose value came last: that goes on after = and :
    local want= last= ended=
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word =~ ^[=:]+$ ]]; then
            want=${want:-$last}
        elif [[ $want ]]; then
            want=
        elif [[ ! $ended ]]; then
            last=
            case $word in
            --) ended=1 ;;
            OPTIONS) want=$word last=$word ;;
            *) case "$command $word" in COMMANDS) command="$command $word" ;; esac ;;
            esac
        fi
    done
    if [[ $cur =~ ^[=:]+$ ]]; then
        want=${want:-$last} cur=
    fi
    case $want in
"#;

const END: &str = r#"    esac
    [[ $cur != -* || $ended ]] || _mtls_min_reply -W "$flags" ;;
    esac
}

complete -F _mtls_min mtls-min
"#;
