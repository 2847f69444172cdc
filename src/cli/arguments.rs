//! Puts the words of the command line into the order that `argh` takes. An option of a command may come after the name of one
//! of its subcommands, `--option=value` becomes two words, and `help` is a command. An unknown word is named in the error, with
//! the nearest known word and the help that lists it.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind};

use crate::spelling::distance;

/// The words in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) words: Vec<String>,
    /// The command that they name, for example `mtls-min certs client`.
    pub(super) command: String,
}

/// Words that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misuse {
    pub(super) message: String,
    /// What was perhaps meant.
    pub(super) guess: Option<String>,
    /// As in [`Arguments`].
    pub(super) command: String,
}

/// Reads the words after the program's name.
pub(super) fn in_order(words: &[String], root: &CommandInfoWithArgs) -> Result<Arguments, Misuse> {
    let mut line = Line { levels: vec![Level { info: root, options: Vec::new() }], positionals: Vec::new() };
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        match word {
            "--" => line.positionals.extend(words.by_ref().map(str::to_owned)),
            "-h" | "--help" => return Ok(line.help()),
            _ if word.starts_with('-') && word.len() > 1 => line.option(word, &mut words)?,
            "help" if line.takes_command() => return line.help_on(words),
            _ if line.takes_command() => line.command(word)?,
            _ => line.positionals.push(word.to_owned()),
        }
    }
    Ok(line.finish())
}

struct Line<'i> {
    /// The commands so far, each one a subcommand of the one before.
    levels: Vec<Level<'i>>,
    /// The positional arguments of the last of them.
    positionals: Vec<String>,
}

struct Level<'i> {
    info: &'i CommandInfoWithArgs,
    options: Vec<String>,
}

impl<'i> Line<'i> {
    /// An option belongs to the last command that has it.
    fn option<'w>(
        &mut self,
        word: &str,
        rest: &mut std::iter::Peekable<impl Iterator<Item = &'w str>>,
    ) -> Result<(), Misuse> {
        let (name, mut value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let Some((at, flag)) = self.find(name) else { return Err(self.unknown_option(name)) };
        let FlagInfoKind::Option { arg_name } = flag.kind else {
            return match value {
                None => {
                    self.levels[at].options.push(name.to_owned());
                    Ok(())
                }
                Some(_) => Err(self.misuse(format!("{name} takes no value"), None)),
            };
        };
        // A word that is an option was hardly meant as the value of another option; after `=` it can be one.
        let is_option = |next: &str| self.find(next.split('=').next().unwrap_or(next)).is_some();
        value = value.or_else(|| rest.next_if(|next| !is_option(next)));
        let Some(value) = value else {
            return Err(self.misuse(format!("{name} needs a value: {name} <{arg_name}>"), None));
        };
        self.levels[at].options.extend([name.to_owned(), value.to_owned()]);
        Ok(())
    }

    fn command(&mut self, word: &str) -> Result<(), Misuse> {
        let commands = &self.last().commands;
        let Some(found) = commands.iter().find(|command| command.name == word) else {
            return Err(self.unknown_command(word));
        };
        self.levels.push(Level { info: &found.command, options: Vec::new() });
        Ok(())
    }

    fn help_on<'w>(mut self, words: impl Iterator<Item = &'w str>) -> Result<Arguments, Misuse> {
        for word in words.filter(|word| !matches!(*word, "help" | "-h" | "--help")) {
            match self.takes_command() {
                true => self.command(word)?,
                false => return Err(self.misuse(format!("{} has no command {word}", self.name()), None)),
            }
        }
        Ok(self.help())
    }

    fn help(mut self) -> Arguments {
        self.positionals.clear();
        self.levels.iter_mut().for_each(|level| level.options.clear());
        let Arguments { mut words, command } = self.finish();
        words.push("--help".to_owned());
        Arguments { words, command }
    }

    fn finish(self) -> Arguments {
        let command = self.name();
        let mut words = Vec::new();
        for (at, Level { info, options }) in self.levels.into_iter().enumerate() {
            words.extend((at > 0).then(|| info.name.to_owned()));
            words.extend(options);
        }
        if !self.positionals.is_empty() {
            words.push("--".to_owned());
            words.extend(self.positionals);
        }
        Arguments { words, command }
    }

    fn last(&self) -> &'i CommandInfoWithArgs {
        // There is always the root.
        self.levels[self.levels.len() - 1].info
    }

    fn takes_command(&self) -> bool {
        !self.last().commands.is_empty()
    }

    fn find(&self, name: &str) -> Option<(usize, &'i FlagInfo<'i>)> {
        let levels = self.levels.iter().enumerate().rev();
        levels.into_iter().find_map(|(at, level)| Some((at, level.info.flags.iter().find(|flag| flag.long == name)?)))
    }

    fn name(&self) -> String {
        let names = self.levels[1..].iter().map(|level| level.info.name);
        std::iter::once(PROGRAM).chain(names).collect::<Vec<_>>().join(" ")
    }

    fn unknown_option(&self, name: &str) -> Misuse {
        let known = self.levels.iter().rev().flat_map(|level| level.info.flags).map(|flag| flag.long);
        if !name.starts_with("--") {
            let letter = name.chars().nth(1).map(|letter| letter.to_ascii_lowercase());
            let guess = match self.last().positionals {
                [] => known.into_iter().find(|known| known.chars().nth(2) == letter).map(did_you_mean),
                _ => Some("-- goes before what is a name and begins with -".to_owned()),
            };
            return self.misuse(format!("there is no option {name}"), guess);
        }
        let guess = nearest(name, known).map(did_you_mean);
        let elsewhere = || {
            let owners = with_option(PROGRAM, self.levels[0].info, name);
            (!owners.is_empty())
                .then(|| format!("{name} is an option of {}, and comes after these words", owners.join(", ")))
        };
        self.misuse(format!("{} has no option {name}", self.name()), elsewhere().or(guess))
    }

    fn unknown_command(&self, word: &str) -> Misuse {
        if cfg!(not(feature = "pki")) && word == "certs" {
            return self.misuse(
                "this build has no certs: it was made without the feature `pki`".to_owned(),
                Some("take another build of mtls-min for that, or openssl, as certs/make-certs.sh does".to_owned()),
            );
        }
        let commands = &self.last().commands;
        let deeper = commands.iter().find(|command| command.command.commands.iter().any(|sub| sub.name == word));
        let guess = match deeper {
            Some(command) => Some(did_you_mean(&format!("{} {} {word}", self.name(), command.name))),
            None => nearest(word, commands.iter().map(|command| command.name))
                .map(|near| did_you_mean(&format!("{} {near}", self.name()))),
        };
        self.misuse(format!("{} has no command {word}", self.name()), guess)
    }

    fn misuse(&self, message: String, guess: Option<String>) -> Misuse {
        Misuse { message, guess, command: self.name() }
    }
}

const PROGRAM: &str = "mtls-min";

fn did_you_mean(known: &str) -> String {
    format!("did you mean {known}?")
}

/// The commands that have an option.
fn with_option(path: &str, info: &CommandInfoWithArgs, option: &str) -> Vec<String> {
    let own = info.flags.iter().any(|flag| flag.long == option).then(|| path.to_owned());
    let below = info.commands.iter();
    let below = below.flat_map(|command| with_option(&format!("{path} {}", command.name), &command.command, option));
    own.into_iter().chain(below).collect()
}

/// The word that differs least, if it differs little.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let letters = |word: &str| word.trim_start_matches('-').chars().take(MAX_LETTERS).collect::<Vec<_>>();
    let own = letters(word);
    let begins = |known: &str| own.len() >= 3 && letters(known).starts_with(&own);
    known
        .map(|known| (if begins(known) { 0 } else { distance(&own, &letters(known)) }, known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= own.len() / 3)
        .map(|(_, known)| known)
}

/// Longer words are compared by their beginning only. No name is longer.
const MAX_LETTERS: usize = 64;

#[cfg(test)]
mod tests {
    use argh::ArgsInfo;

    use super::*;

    fn order(line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        in_order(&words, &crate::cli::CommandLine::get_args_info())
            .map(|line| line.words.join(" "))
            .map_err(|misuse| format!("{}; {}; {}", misuse.message, misuse.guess.unwrap_or_default(), misuse.command))
    }

    #[test]
    fn options_find_their_command_wherever_they_stand() {
        for (line, expected) in [
            ("", ""),
            ("--ca a --resumption", "--ca a --resumption"),
            ("--ca=a --ca=b=c --ca=", "--ca a --ca b=c --ca "),
            ("--idle-timeout -1", "--idle-timeout -1"),
            ("--ca=--crl", "--ca --crl"),
            ("demo --ca x --dir=d", "--ca x demo --dir d"),
            ("demo --listen a", "demo --listen a"),
            ("--listen a check x --ca c", "--listen a check --ca c -- x"),
            ("check -- -x --ca", "check -- -x --ca"),
            ("help", "--help"),
            ("help demo", "demo --help"),
            ("demo --listen a -h nonsense", "demo --help"),
            ("check help", "check -- help"),
        ] {
            assert_eq!(order(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    #[cfg(feature = "pki")]
    fn options_of_certs_may_follow_its_commands() {
        for (line, expected) in [
            ("certs client alice --dir d --days=3", "certs --dir d client --days 3 -- alice"),
            ("certs client help", "certs client -- help"),
            ("certs help client", "certs client --help"),
            ("certs help", "certs --help"),
            ("help certs client", "certs client --help"),
            ("certs client x --ca y", "--ca y certs client -- x"),
        ] {
            assert_eq!(order(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_not_known_is_named_with_what_comes_nearest() {
        for (line, expected) in [
            ("dmeo", "mtls-min has no command dmeo; did you mean mtls-min demo?; mtls-min"),
            ("xyz", "mtls-min has no command xyz; ; mtls-min"),
            ("--crl-expird x", "mtls-min has no option --crl-expird; did you mean --crl-expired?; mtls-min"),
            ("--max 3", "mtls-min has no option --max; did you mean --max-connections?; mtls-min"),
            ("--quite-other", "mtls-min has no option --quite-other; ; mtls-min"),
            ("check x --jsno", "mtls-min check has no option --jsno; did you mean --json?; mtls-min check"),
            (
                "check x --resumptoin",
                "mtls-min check has no option --resumptoin; did you mean --resumption?; mtls-min check",
            ),
            ("--resumption=yes", "--resumption takes no value; ; mtls-min"),
            ("--ca", "--ca needs a value: --ca <file>; ; mtls-min"),
            ("--ca --crl x", "--ca needs a value: --ca <file>; ; mtls-min"),
            ("check -x", "there is no option -x; -- goes before what is a name and begins with -; mtls-min check"),
            ("-V", "there is no option -V; did you mean --version?; mtls-min"),
            ("-z", "there is no option -z; ; mtls-min"),
            ("help dmeo", "mtls-min has no command dmeo; did you mean mtls-min demo?; mtls-min"),
            ("help demo more", "mtls-min demo has no command more; ; mtls-min demo"),
        ] {
            assert_eq!(order(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    #[cfg(feature = "pki")]
    fn what_belongs_elsewhere_is_said() {
        for (line, expected) in [
            ("client alice", "mtls-min has no command client; did you mean mtls-min certs client?; mtls-min"),
            (
                "--dir d certs list",
                "mtls-min has no option --dir; --dir is an option of mtls-min demo, mtls-min certs, and comes after these words; mtls-min",
            ),
            (
                "certs revoek x",
                "mtls-min certs has no command revoek; did you mean mtls-min certs revoke?; mtls-min certs",
            ),
        ] {
            assert_eq!(order(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    #[cfg(not(feature = "pki"))]
    fn a_build_without_certs_says_so() {
        let said = order("certs init").unwrap_err();
        assert!(said.starts_with("this build has no certs: it was made without the feature `pki`"), "{said}");
    }
}
