#!/usr/bin/python3
"""The harness itself finds what it is there to find: GNU parallel is set against a wrong program, made of it."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

COMPARE = pathlib.Path(__file__).parent / "compare.py"


def run(text, other="parallel", *options):
    """Exit status, what was printed, and the list afterwards."""
    with tempfile.TemporaryDirectory() as top:
        cases = pathlib.Path(top) / "cases.txt"
        cases.write_text(text)
        done = subprocess.run([sys.executable, "-B", COMPARE, "--other", other, *options, cases], capture_output=True, text=True,
                              env={**os.environ, "PUSHMILL_BIN": top})
        return done.returncode, done.stdout + done.stderr, cases.read_text()


class Harness(unittest.TestCase):
    def faults_of(self, text, other):
        status, said, _ = run(text, other)
        self.assertEqual(status, 1, said)
        return said

    def test_the_same_program_is_the_same(self):
        status, said, _ = run("order | parallel -j1 --joblog x.log 'echo {} > {}; echo {} >&2' ::: a b\nsorted | parallel -j2 echo ::: a b\n")
        self.assertEqual((status, said), (0, "2 as expected, 0 to do, 0 faults\n"))

    def test_each_kind_of_difference_is_found(self):
        self.assertIn("stdout", self.faults_of("order | parallel -k echo ::: a b\n", "parallel --tag"))
        self.assertIn("stderr", self.faults_of("order | parallel -k echo ::: a\n", "parallel -t"))
        self.assertIn("status", self.faults_of("status | parallel -k exit ::: 0 1\n", "true"))
        self.assertIn("files", self.faults_of("order | parallel -k 'echo {} > x' ::: a\n", "parallel echo >&2"))
        self.assertIn("files", self.faults_of("order | parallel -j1 --joblog x.log exit ::: 0 1\n", "parallel -r --halt now,done=1"))

    def test_an_exception_has_to_be_one_and_the_rest_to_be_the_same(self):
        self.assertEqual(run("order except stdout: mistakes | parallel -k echo ::: a\n", "parallel --tag")[0], 0)
        self.assertIn("does not differ any more", self.faults_of("order except stdout: mistakes | parallel -k echo ::: a\n", "parallel -k"))
        self.assertIn("status", self.faults_of("order except stdout: mistakes | parallel -k 'echo {}; exit 1' ::: a\n", "true"))
        self.assertIn("no-such-reason", self.faults_of("order except stdout: no-such-reason | parallel echo ::: a\n", "parallel --tag"))

    def test_what_is_to_do_may_fail_and_may_not_pass(self):
        status, said, _ = run("todo order | parallel echo ::: a\n", "parallel --tag")
        self.assertEqual(status, 0, said)
        self.assertIn("1 to do", said)
        self.assertIn("is said to be to do", self.faults_of("todo order | parallel echo ::: a\n", "parallel"))

    def test_settling_takes_the_word_from_what_passes_only(self):
        text = "# words\ntodo order | parallel echo ::: a\ntodo order | parallel --tag echo ::: a\n"
        status, _, after = run(text, "parallel --tag", "--settle")
        self.assertEqual((status, after), (0, text.replace("todo order | parallel --tag", "order | parallel --tag")))

    def test_a_line_that_is_no_case_is_refused(self):
        for text in ("order: parallel echo\n", "order | echo\n", "order except noise: mistakes | parallel\n", ""):
            self.assertEqual(run(text)[0], 1, text)


if __name__ == "__main__":
    if not shutil.which("parallel"):
        print("SKIP: GNU parallel is not installed (scripts/setup)")
        sys.exit(77)
    unittest.main()
