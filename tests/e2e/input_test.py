"""The input of pushmill run beside GNU parallel's: what --dry-run says in both."""
import os
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor

from support import EndToEnd, USAGE

FILES = {"F": "f1\nf2\nf3\n", "G": "g1\ng2\n", "E": "", "T": "x\ty\n1\t2\n3\t4\n"}

# Standard input and arguments: the lines must be the same, byte for byte.
SAME = [
    ("", "echo ::: a b ::: 1 2 3"),
    ("", "echo ::: a b :::: F ::: x"),
    ("", "-a F -a G echo"),
    ("", "-a F echo ::: a b"),
    ("", "echo :::: F G"),
    ("", "echo :::: F ::::+ G"),
    ("", "echo ::: a b c :::+ 1 2"),
    ("", "--link echo ::: a b ::: 1 2 3 ::: x y z w"),
    ("", "--xapply echo :::: F G"),
    ("", "echo ::: X Y ::: a b :::+ 1 2 :::+ m n"),
    ("", "echo ::: a :::"),
    ("", "echo ::: a b :::: E"),
    ("", "echo :::: E ::: a b"),
    ("", "echo ::: ''"),
    ("", "::: 'echo a' 'echo b'"),
    ("1\n2\n", "-a - -a F echo"),
    ("1\n2\n", "echo :::: - F"),
    ("a\nb\nc\nd\ne\n", "-n2 echo"),
    ("a\nb\nc\nd\ne\n", "-N2 echo"),
    ("a\nb\nc\n", "-N0 echo"),
    ("a\nb\nc\nd\ne\n", "-L2 echo"),
    ("a\nb \nc\nd\ne\n", "-L2 echo"),
    ("a\n\nb\n\nc\nd\ne\n", "-L2 echo"),
    ("a b\nc d\ne\n", "-l echo"),
    ("a b\nc d\ne\n", "-l2 echo"),
    ("1\n2\n3\n4\n5\n", "-l 2 echo"),
    ("1\n2\n3\n4\n5\n", "--max-lines=2 echo"),
    ("a\nb\nc\nd\ne\n", "-m echo"),
    ("a\nb\nc\nd\ne\n", "-X echo"),
    ("a\nb\nc\nd\ne\n", "--xargs echo"),
    ("a\nb\nc\nd\ne\n", "-s 14 -X echo"),
    ("a\nb\nc\nd\ne\n", "-s 14 --xargs echo"),
    ("a\nb\nc\nd\ne\n", "-n4 -s 12 echo"),
    ("", "-j3 -X echo ::: 1 2 3 4 5 6 7 8 9 10"),
    ("", "-j4 -m -n3 echo ::: 1 2 3 4 5 6"),
    ("", "-j4 -m -s 12 echo ::: 1 2 3 4 5 6 7 8 9 10 11 12 13"),
    ("", "-X echo ::: a b ::: 1 2"),
    ("", "-N3 echo ::: a b ::: 1 2"),
    ("a,b\nc,d\n", "-C, echo"),
    ("a , b \n c ,d\n", "-C, --trim n echo"),
    ("a,,b\nc,\n", "-C, echo"),
    ("a1b22c\n", "-C '([0-9]+)' echo"),
    ("  k  v \n", "--colsep '\\s+' echo"),
    ("", "-C - --link echo ::: A-B C-D ::: e-f g-h"),
    (" a b \n c\n", "--trim l echo"),
    (" a b \n c\n", "--trim rl echo"),
    ("a,b\n1,2\n3,4\n", "--header : -C, echo"),
    ("", "--header : echo ::: f1 a b ::: g 1 2"),
    ("", "--header : echo ::: f1"),
    ("1\n2\nx\n3\n", "-E x echo"),
    ("1\n2\nx\n3\n", "-ex echo"),
    ("", "-E b echo ::: a b c ::: 1 2"),
    ("", "-r echo"),
    (" \n\n a\n\n", "-r echo"),
    ("\n\n", "echo"),
    ("a\0b\0c", "-0 echo"),
    ("a\0\0b c\n\0", "-0 echo"),
    ("a,b,c\n", "-d , echo"),
    ("a\tb\tc", "-d '\\t' echo"),
    ("a\nb\tc", "-d '\\011' echo"),
    ("aXYbXYc", "-d XY echo"),
    ("a\nb", "-d '' echo"),
    ("", "-d , echo ::: a,b c ::: 1,2 3"),
    ("h1\nh2\nh3\n", "--skip-first-line -a - -a F echo"),
    ("echo a\necho b\n", "--skip-first-line"),
    ("", "--arg-sep ,, echo ,, a b ,, 1 2"),
    ("", "--arg-file-sep=@ echo ::: x @ F"),
    ("", "echo --arg-sep x ::: a"),
    ("", "-k --joblog --arg-sep echo ::: a"),
]
# The same with replacement strings of several values.
POSITIONS = [
    ("a\nb\nc\nd\ne\n", "-N2 echo {1} {2}"),
    ("a\nb\nc\nd\ne\n", "-N2 echo x{}"),
    ("a\nb\nc\nd\ne\n", "-n2 echo x{}"),
    ("a\nb\nc\nd\ne\n", "-L2 echo x{}"),
    ("1\n2\n3\n4\n", "-L2 -m echo x{}"),
    ("a\nb\nc\nd\ne\n", "-X echo x{}y"),
    ("a\nb\nc\nd\ne\n", "-m echo x{}y"),
    ("a\nb\nc\nd\ne\n", "--xargs echo x{}y"),
    ("", "-X -n2 echo x{} ::: 1 2 3"),
    ("a,b\nc,d\n", "-C, echo {2}-{1}-{3}"),
    ("a,b\nc,d\ne,f\n", "-N2 -C, echo {1} {2} {3} {4}"),
    ("a,b\n1,2\n3,4\n", "--header : -C, echo {b} {a}"),
    ("", "--header : echo {g} ::: f1 a b ::: g 1 2"),
    ("", "-a T --header : echo {y} {x}"),
    ("", "echo {2} {1} ::: a b ::: 1 2"),
]


class BesideParallel(EndToEnd):
    def setUp(self):
        super().setUp()
        for name, text in FILES.items():
            (self.path / name).write_text(text)

    def both(self, case):
        text, words = case
        def lines(program):
            command = f"{program} --dry-run {'' if '-j' in words else '-j2'} -k {words}"
            done = subprocess.run(["bash", "-c", command], input=text.encode(), capture_output=True, cwd=self.path, timeout=60, env=dict(os.environ, HOME=str(self.path)))
            return done.stdout, done.stderr.decode(errors="replace")
        pushmill = os.path.join(os.environ["PUSHMILL_BIN"], "pushmill")
        return case, lines("parallel --will-cite"), lines(f"{pushmill} run")

    def compare(self, cases):
        with ThreadPoolExecutor(3) as pool:
            wrong = [f"{case}\n  parallel: {theirs}\n  pushmill: {ours}" for case, theirs, ours in pool.map(self.both, cases) if theirs[0] != ours[0]]
        self.assertFalse(wrong, "\n".join(["", *wrong]))

    def test_sources_records_and_packing_are_those_of_gnu_parallel(self):
        self.compare(SAME)

    def test_several_values_stand_where_gnu_parallel_puts_them(self):
        self.compare(POSITIONS)

    def test_a_joblog_of_gnu_parallel_is_resumed(self):
        def fresh():
            (self.path / "log").unlink(missing_ok=True)
            subprocess.run(["parallel", "--will-cite", "-j1", "--joblog", "log", "test {} -gt 2", ":::", "1", "2", "3"], cwd=self.path, stdin=subprocess.DEVNULL)
        fresh()
        self.assertEqual(self.run_to_end("run", "-k", "--joblog", "log", "--resume", "echo {#} {}", ":::", "1", "2", "3", "4").out, b"4 4\n")
        self.assertEqual([line.split("\t")[0] for line in (self.path / "log").read_text().splitlines()], ["Seq", "1", "2", "3", "4"])
        fresh()
        self.assertEqual(self.run_to_end("run", "-k", "--joblog", "log", "--resume-failed", "echo {#} {}", ":::", "1", "2", "3", "4").out, b"1 1\n2 2\n4 4\n")
        fresh()
        self.run_to_end("run", "-j1", "--joblog", "log", "--retry-failed", status=2)
        lines = (self.path / "log").read_text().splitlines()
        self.assertEqual([(line.split("\t")[0], line.split("\t")[-1]) for line in lines[4:]], [("1", "test 1 -gt 2"), ("2", "test 2 -gt 2")])


class Words(EndToEnd):
    def refused(self, *words, stdin=None, status=USAGE):
        return self.run_to_end("run", *words, stdin=stdin, status=status).err

    def test_what_is_wrong_is_said_in_one_line(self):
        self.assertIn("cannot open the input /no/such", self.refused("-a", "/no/such", "echo", status=None))
        self.assertIn(":::: names no file", self.refused("echo", "::::"))
        self.assertIn("is not a regular expression", self.refused("-C", "[", "echo", ":::", "a"))
        self.assertIn("needs --joblog", self.refused("--resume", "echo", ":::", "a"))
        self.assertIn("standard input (-) can be one source only", self.refused("echo", "::::", "-", "-"))
        self.assertIn("'x' is not a whole number", self.refused("-n", "x", "echo", ":::", "a"))
        self.assertIn("a quote that is not closed", self.refused("--dry-run", "--csv", "echo", stdin=['a,"b']))

    def test_a_dry_run_leaves_no_run(self):
        self.assertEqual(self.run_to_end("run", "--dry-run", "touch {}", ":::", "a").out, b"touch a\n")
        self.assertFalse((self.path / "a").exists())
        self.assertEqual(self.runs(), [])

    def test_a_shuffled_run_that_is_continued_has_the_same_order(self):
        words = ("--run-dir", "run", "--shuf", "-j1", "-k", "echo {}", ":::", *map(str, range(50)))
        first = self.run_to_end("run", *words).out
        self.assertNotEqual(first, b"".join(b"%d\n" % i for i in range(50)))
        self.run_to_end("run", *words)  # the input is compared with what was accepted

    def test_several_columns_reach_a_call_with_tabs_between_them(self):
        self.assertEqual(self.run_to_end("run", "-C", ",", "--call", "echo", ":::", "a,b").out, b"a\tb\n")


if __name__ == "__main__":
    unittest.main()
