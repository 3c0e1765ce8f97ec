#!/usr/bin/python3
"""Man pages and shell completions, made of what the programs say with --help and of the texts in packaging/manual.txt.

from_help.py PROGRAMS VERSION OUT      PROGRAMS: the directory with pushmill, ventilator, worker and sink
"""
import datetime
import gzip
import itertools
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
ROLES = ("ventilator", "worker", "sink")
OPTION = re.compile(r"  (-[^ ]*)(?: ([^ ].*?))?(?:  +(.*))?$")
COMMAND = re.compile(r"  pushmill (\w+)(.*?)(?:   +(.*))?$")


def help_of(programs, command):
    """What it says, in lines."""
    words = [programs / "pushmill", *command]
    return subprocess.run(words + ["--help"], capture_output=True, text=True, check=True).stdout.rstrip().split("\n")


class Page:
    """A help text in its parts: what it is for, the usage, sections of options, and what stands below them."""

    def __init__(self, lines):
        self.purpose, self.usage, self.sections, self.footer = lines[0], [], [], []
        at = 1
        while at < len(lines) and lines[at].strip():
            self.usage.append(re.sub(r"^Usage: ", "", lines[at]).strip())
            at += 1
        entries = None
        for line in lines[at:]:
            if entries is not None and (match := OPTION.match(line)):
                entries.append([match[1], match[2] or "", match[3] or ""])
            elif entries is not None and line.startswith("      ") and entries:
                entries[-1][2] = (entries[-1][2] + " " + line.strip()).strip()
            elif re.fullmatch(r"[A-Z][^.]*:", line) and not self.footer and line != "Examples:":
                entries = []
                self.sections.append((line[:-1], entries))
            elif entries is not None and line.startswith("  ") and not self.footer:
                left, _, text = line.strip().partition("  ")
                entries.append([left, "", text.strip()])
            elif line or self.footer:
                entries = None
                self.footer.append(line)

    def options(self):
        return [(names.split(","), value, text) for _, entries in self.sections for names, value, text in entries if names.startswith("-")]


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def preformatted(lines):
    return [".PP", ".nf", *map(escaped, lines), ".fi"]


def texts():
    """The page's name -> its sections, of manual.txt: `[page]`, `# SECTION`, lines."""
    found, page = {}, None
    for line in (HERE / "manual.txt").read_text().split("\n"):
        if match := re.fullmatch(r"\[(\S+)\]", line):
            page = found.setdefault(match[1], [])
        elif page is not None:
            page.append(line)
    return found


def body_of(text):
    """Sections of manual.txt: lines that are indented stay as they are."""
    out = []
    for is_example, lines in itertools.groupby(text, lambda line: line.startswith("    ")):
        if is_example:
            out += preformatted(lines)
            continue
        for line in lines:
            out.append(f".SH {escaped(line[2:])}" if line.startswith("# ") else escaped(line) if line else ".PP")
    return out


def man(name, title, page, text, version, names):
    day = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), datetime.timezone.utc)
    out = [f'.TH {name.upper()} 1 "{day:%Y-%m-%d}" "pushmill {version}" "User Commands"', ".SH NAME", f"{escaped(name)} \\- {escaped(title)}", ".SH SYNOPSIS"]
    for use in page.usage:
        out += [f".B {escaped(use if use.startswith('pushmill') else 'pushmill ' + use)}", ".br"]
    out += [".SH DESCRIPTION", escaped(page.purpose), *options_of(page), *body_of(text)]
    if page.footer:
        heading, _, rest = page.footer[0].partition(":")
        is_titled = heading in ("Examples", "Commands") and not rest
        out += [f".SH {heading.upper()}" if is_titled else ".SH NOTES", *preformatted(page.footer[is_titled:])]
    others = ", ".join(f"\\fB{escaped(other)}\\fR(1)" for other in names if other != name)
    return "\n".join([*out, ".SH SEE ALSO", others]) + "\n"


def options_of(page):
    out = [".SH OPTIONS"] if page.sections else []
    for heading, entries in page.sections:
        if heading not in ("Options", "Positionals"):
            out.append(f".SS {escaped(heading)}")
        for names, value, text in entries:
            bold = ", ".join(f"\\fB{escaped(name)}\\fR" for name in names.split(","))
            out += [".TP", bold + (f" \\fI{escaped(value)}\\fR" if value else ""), escaped(text) or "\\&"]
    return out


def bash(pages):
    cases = "\n".join(f"    {name}) options='{' '.join(option for names, _, _ in page.options() for option in names)}' ;;" for name, page in pages.items())
    valued = "|".join(sorted({option for page in pages.values() for names, value, _ in page.options() if value for option in names}))
    return f"""# Completion of pushmill's command lines, for bash.
_pushmill() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '{' '.join(pages)} --help --version' -- "$word")
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  case $before in
    {valued}) ;;
    *) case $word in -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word"); return ;; esac ;;
  esac
  compopt -o filenames -o bashdefault
  if [ "${{COMP_WORDS[1]}}" = run ] && [[ $before != -* ]]; then mapfile -t COMPREPLY < <(compgen -c -f -- "$word" | sort -u)
  else mapfile -t COMPREPLY < <(compgen -f -- "$word"); fi
}}
complete -F _pushmill pushmill
"""


def zsh(pages):
    def quoted(text):
        return re.sub(r"([\[\]:\\])", r"\\\1", text).replace("'", "'\\''")

    cases = []
    for name, page in pages.items():
        specs = [f"'{option}[{quoted(text)}]{':' + quoted(value) + ':_files' if value else ''}'" for names, value, text in page.options() for option in names]
        cases.append(f"    {name}) _arguments -s : {' '.join(specs)} '*::word:_{'normal' if name == 'run' else 'files'}' ;;")
    commands = " ".join(f"'{name}:{quoted(page.purpose)}'" for name, page in pages.items())
    cases = "\n".join(cases)
    return f"""#compdef pushmill
_pushmill() {{
  local -a commands=({commands})
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words; (( CURRENT-- ))
  case $command in
{cases}
  esac
}}
_pushmill "$@"
"""


def main():
    programs, version, out = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    front = help_of(programs, [])
    commands = list(dict.fromkeys(match[1] for line in front if (match := COMMAND.match(line))))
    pages = {command: Page(help_of(programs, [command])) for command in commands}
    names = ["pushmill", *(f"pushmill-{command}" for command in commands)]
    text = texts()
    for folder in ("man", "bash", "zsh"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    whole = Page(["Runs many jobs on any number of machines and loses none.", "Usage: pushmill COMMAND ..."])
    whole.footer = ["Commands:", *front[1:]]
    for name, page in zip(names, [whole, *pages.values()]):
        title = page.purpose.rstrip(".")
        content = man(name, title[0].lower() + title[1:], page, text.get(name, []), version, names)
        (out / f"man/{name}.1.gz").write_bytes(gzip.compress(content.encode(), mtime=0))
    (out / "bash/pushmill").write_text(bash(pages))
    (out / "zsh/_pushmill").write_text(zsh(pages))


main()
