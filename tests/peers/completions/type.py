"""Types words and Tab into a shell on a terminal of its own, and looks at what the command is called with.

Usage: type.py SHELL SCRIPT, with lines on standard input: what is typed, a tab, and what it should become.
"""

import os
import pty
import select
import sys
import time

PATIENCE = 60  # seconds for the shell to start, and for each answer
PROMPT = "READY> "
# The command only writes its words into a file, each ended by a bar. The file has them all once it is there.
SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "PS1='READY''> '; bind 'set bell-style none'; source SCRIPT; mtls-min() { printf '%s|' \"$@\" >calling; mv calling called; }",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "unsetopt beep auto_remove_slash; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; "
        "mtls-min() { printf '%s|' \"$@\" >calling; mv calling called }; PS1='READY''> '",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "source SCRIPT; function mtls-min; printf '%s|' $argv >calling; mv calling called; end; "
        "function fish_prompt; printf 'READY%s' '> '; end",
    ),
}


def main():
    shell, script = sys.argv[1:]
    words, setup = SHELLS[shell]
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", LC_ALL="C.UTF-8")
        os.execvp(words[0], words)
    failures = 0
    seen = ""

    def say(text):
        os.write(terminal, text.encode())

    def until(condition, what):
        nonlocal seen
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"{shell}: waited too long for {what}; it said {seen[-2000:]!r}")
            if select.select([terminal], [], [], 0.02)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace")

    say(setup.replace("SCRIPT", script) + "\n")
    until(lambda: PROMPT in seen, "its prompt")
    for line in sys.stdin:
        typed, wanted = line.rstrip("\n").split("\t")
        seen = ""
        say(f"mtls-min {typed}\t\n")
        until(lambda: os.path.exists("called") and PROMPT in seen, repr(typed))
        with open("called") as file:
            got = " ".join(file.read().split("|")[:-1])
        os.remove("called")
        if got != wanted:
            failures += 1
            print(f"{shell}: {typed!r} became {got!r}, and not {wanted!r}")
    say("exit\n")
    sys.exit(1 if failures else 0)


main()
