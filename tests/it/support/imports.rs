//! Which files of `src/` import from which, read from their text: `use` with its groups and re-exports, and paths inside a line.

use std::collections::{BTreeMap, BTreeSet};

/// From each module that is a file (`trust::path`; the root is empty) to those that define what it names.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What a file names.
#[derive(Default)]
struct Names {
    /// By `use`: the name that it gives, and the path.
    uses: Vec<(String, Vec<String>)>,
    /// By a path elsewhere.
    paths: Vec<Vec<String>>,
}

/// Whether a file is more than tests.
pub(crate) fn is_code(name: &str) -> bool {
    !name.contains("/tests/") && !name.ends_with("/tests.rs")
}

/// The text before the tests at a file's end.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
}

/// `src/trust/path.rs` is `trust::path`, `src/trust/mod.rs` is `trust`, the root is empty.
fn module_of(name: &str) -> String {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs").replace('/', "::");
    path.strip_suffix("::mod").unwrap_or(if path == "lib" { "" } else { &path }).to_owned()
}

/// `trust::path` is of the wing `trust`.
pub(crate) fn wing_of(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The arrows between files given by name and text. Those from the root are left out: it names everything. So are those between a
/// `mod.rs` and the files below it: they are one wing, and a name that a `mod.rs` only passes on counts for the file that defines it.
pub(crate) fn arrows_between(files: &[(String, String)]) -> Arrows {
    let files: BTreeMap<String, Names> = files
        .iter()
        .filter(|(name, _)| is_code(name) && name != "src/main.rs")
        .map(|(name, text)| (module_of(name), names_in(&module_of(name), &tokens(without_tests(text)))))
        .collect();
    let mut arrows = Arrows::new();
    for (module, names) in files.iter().filter(|(module, _)| !module.is_empty()) {
        let is_prefix = |name: &str| names.paths.iter().any(|path| path[0] == name);
        // A `use` of a module counts by what is then named through it.
        let used = names.uses.iter().filter(|(name, _)| !is_prefix(name)).map(|(_, path)| path);
        let targets = used.chain(&names.paths).filter_map(|path| home_of(&files, module, path, 0));
        let is_kin = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}::"));
        let others = targets.filter(|to| !to.is_empty() && !is_kin(to, module) && !is_kin(module, to));
        arrows.insert(module.clone(), others.collect());
    }
    arrows
}

/// The file that defines what a path means in a module. `None` where it is of another crate or of the module itself.
fn home_of(files: &BTreeMap<String, Names>, module: &str, path: &[String], depth: u32) -> Option<String> {
    let bound = |module: &str, name: &str| {
        let mut uses = files.get(module)?.uses.iter();
        (depth < 9).then(|| uses.find(|(bound, _)| bound == name))?.map(|(_, path)| path.clone())
    };
    let child = join(module, &path[..1]);
    let whole = match path[0].as_str() {
        "crate" => path[1..].to_vec(),
        _ if files.contains_key(&child) => child.split("::").map(str::to_owned).chain(path[1..].to_vec()).collect(),
        first => {
            let path = [bound(module, first).filter(|bound| bound != path)?, path[1..].to_vec()].concat();
            return home_of(files, module, &path, depth + 1);
        }
    };
    let length = (0..=whole.len()).rev().find(|length| files.contains_key(&whole[..*length].join("::")))?;
    let home = whole[..length].join("::");
    let passed_on = whole.get(length).and_then(|name| bound(&home, name));
    let further =
        passed_on.and_then(|path| home_of(files, &home, &[path, whole[length + 1..].to_vec()].concat(), depth + 1));
    further.or(Some(home))
}

fn join(module: &str, path: &[String]) -> String {
    let parts = Some(module.to_owned()).into_iter().filter(|module| !module.is_empty()).chain(path.to_vec());
    parts.collect::<Vec<_>>().join("::")
}

/// Reads the tokens of a module's file. Paths from `self` and `super` become paths from `crate`.
fn names_in(module: &str, tokens: &[String]) -> Names {
    let mut names = Names::default();
    let mut scope: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    // The depths at which a `mod name {` inside the file ends.
    let (mut depth, mut ends) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "use" if tokens[at + 1] != "<" => {
                let mut leaves = Vec::new();
                at = read_use(tokens, at + 1, &[], &mut leaves);
                names.uses.extend(leaves.into_iter().map(|(name, path)| (name, from_crate(&scope, path))));
                continue;
            }
            "{" => {
                depth += 1;
                if at >= 2 && tokens[at - 2] == "mod" {
                    scope.push(tokens[at - 1].clone());
                    ends.push(depth);
                }
            }
            "}" => {
                if ends.last() == Some(&depth) {
                    ends.pop();
                    scope.pop();
                }
                depth -= 1;
            }
            first if is_word(first) && tokens.get(at + 1).is_some_and(|next| next == "::") => {
                let is_start = at == 0 || tokens[at - 1] != "::";
                let mut path = vec![first.to_owned()];
                while tokens.get(at + 1).is_some_and(|next| next == "::")
                    && tokens.get(at + 2).is_some_and(|next| is_word(next))
                {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                if is_start && path.len() > 1 {
                    names.paths.push(from_crate(&scope, path));
                }
            }
            _ => {}
        }
        at += 1;
    }
    names
}

/// Reads one tree of a `use` (`a::{b, c as d}`) from a place on, and returns the place behind it.
fn read_use(tokens: &[String], mut at: usize, base: &[String], leaves: &mut Vec<(String, Vec<String>)>) -> usize {
    let mut path = base.to_vec();
    let mut name = None;
    loop {
        match tokens[at].as_str() {
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = read_use(tokens, at, &path, leaves);
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            "as" => {
                name = Some(tokens[at + 1].clone());
                at += 1;
            }
            "," | "}" | ";" => break,
            // `a::{self}` is `a`.
            "self" if !base.is_empty() => {}
            word if is_word(word) => path.push(word.to_owned()),
            _ => {}
        }
        at += 1;
    }
    leaves.push((name.unwrap_or_else(|| path[path.len() - 1].clone()), path));
    at
}

/// A path that begins with `self` or `super`, from the root. Others stay as they are.
fn from_crate(scope: &[String], path: Vec<String>) -> Vec<String> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    if ups == 0 && path[0] != "self" {
        return path;
    }
    let own = &scope[..scope.len() - ups];
    let start = ["crate".to_owned()].into_iter().chain(own.to_vec());
    start.chain(path.into_iter().skip_while(|part| part == "super" || part == "self")).collect()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Words, `::`, and single characters, without comments, texts and blanks.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    let after = |rest: &'_ str, end: &str| rest.find(end).map_or(rest.len(), |at| at + end.len());
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
        let length = if rest.starts_with("//") {
            after(rest, "\n")
        } else if rest.starts_with("/*") {
            after(rest, "*/")
        } else if ["r", "br"].contains(&&rest[..word]) && rest[word + hashes..].starts_with('"') {
            let start = word + hashes + 1;
            start + after(&rest[start..], &format!("\"{}", "#".repeat(hashes)))
        } else if first == '"' {
            let mut is_escaped = false;
            let end = rest[1..].find(|c| {
                c == '"' && !is_escaped || {
                    is_escaped = c == '\\' && !is_escaped;
                    false
                }
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\\") {
            3 + after(&rest[3..], "'")
        } else if first == '\'' && rest.chars().nth(2) == Some('\'') {
            2 + rest[1..].chars().next().map_or(0, char::len_utf8)
        } else {
            let length = if rest.starts_with("::") { 2 } else { word.max(first.len_utf8()) };
            found.extend((!first.is_whitespace()).then(|| rest[..length].to_owned()));
            length
        };
        rest = &rest[length..];
    }
    found
}

/// Every circle: files that need each other, by however long a way.
pub(crate) fn circles(arrows: &Arrows) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = arrows.keys().map(|from| (from, reach(arrows, from))).collect();
    let of = |one: &String| {
        let circle = reached[one].iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(one)));
        circle.map(|other| (*other).clone()).collect::<Vec<_>>()
    };
    arrows.keys().map(of).filter(|circle| !circle.is_empty()).collect()
}

fn reach<'a>(arrows: &'a Arrows, from: &String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = arrows[from].iter().collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(arrows.get(module).into_iter().flatten());
        }
    }
    found
}

/// The length of the longest chain of arrows, in modules. A circle counts as one.
pub(crate) fn levels(arrows: &Arrows) -> usize {
    let circles = circles(arrows);
    let name = |module: &String| {
        circles.iter().find(|circle| circle.contains(module)).map_or(module, |circle| &circle[0]).clone()
    };
    let mut joined = Arrows::new();
    for (from, to) in arrows {
        let to = to.iter().map(name).filter(|to| *to != name(from));
        joined.entry(name(from)).or_default().extend(to);
    }
    let mut levels = 0;
    // Who needs nobody that is left is of the next level.
    while !joined.is_empty() {
        let left: BTreeSet<String> = joined.keys().cloned().collect();
        joined.retain(|_, to| to.iter().any(|to| left.contains(to)));
        levels += 1;
    }
    levels
}
