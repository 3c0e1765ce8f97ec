"""Replacement strings, quoting and --argv with real commands: for inputs and templates at random the output is that of a shell loop."""
import os
import random
import subprocess
import unittest

from support import EndToEnd

HARD = ["a", "b.c", "d/e.f", " ", "  ", "'", '"', "\\", "$HOME", "`x`", "*", "~", "é", "-n", ";", "&", "|", "<", "(", "!", "#", "%", "=", "{}", "{.}", "\t"]

# What each replacement string is in a shell loop whose variable is v, and i its number.
IN_A_LOOP = {
    "{}": '"$v"', "{1}": '"$v"', "{-1}": '"$v"', "{#}": '"$i"', "{/}": '"${v##*/}"', "{0}": '"$v"',
}


class Template(EndToEnd):
    def test_outputs_are_those_of_the_sequential_shell_loop(self):
        seed = int(os.environ.get("PUSHMILL_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"PUSHMILL_SEED={seed}", flush=True)
        chance = random.Random(seed)
        for _ in range(int(os.environ.get("PUSHMILL_ROUNDS", 12))):
            records = ["".join(chance.choices(HARD, k=chance.randrange(1, 6))) for _ in range(chance.randrange(1, 30))]
            given, loop = "printf '[%s]'", "printf '[%s]'"
            for _ in range(chance.randrange(1, 4)):
                string = chance.choice(list(IN_A_LOOP))
                before, after = chance.choice(["", "x", "x."]), chance.choice(["", "y"])
                given += f" {before}{string}{after}"
                loop += f" {before}{IN_A_LOOP[string]}{after}"
            text = "".join(record + "\n" for record in records).encode()
            # printf that is given nothing would print its brackets all the same
            expected = subprocess.run(["sh", "-c", f'i=0; while IFS= read -r v; do i=$((i+1)); {loop} ""; echo; done'], input=text, stdout=subprocess.PIPE, check=True).stdout
            program = self.run_to_end("run", "-k", f"-j{chance.randrange(1, 5)}", given + ' ""; echo', stdin=text)
            self.assertEqual(program.out, expected, f"PUSHMILL_SEED={seed} template: {given} records: {records}")

    def test_argv_needs_no_shell(self):
        program = self.run_to_end("run", "-k", "--argv", "printf", "[%s]", "{}", "x{}y", "$HOME", "a  b", ";", ":::", "it's", "a b", "*", "$(echo)")
        self.assertEqual(program.out.decode(), "".join(f"[{v}][x{v}y][$HOME][a  b][;]" for v in ("it's", "a b", "*", "$(echo)")))

    def test_quoted_words_reach_the_command_as_they_are(self):
        program = self.run_to_end("run", "-k", "-q", "printf", "[%s]", "{}", "$HOME", "a  {}", ":::", "it's", "*")
        self.assertEqual(program.out.decode(), "".join(f"[{v}][$HOME][a  {v}]" for v in ("it's", "*")))

    def test_the_slot_is_put_in_where_the_job_runs(self):
        program = self.run_to_end("run", "-k", "-j1", "echo {%}{%} {} $PUSHMILL_SLOT", ":::", "a b", "c")
        self.assertEqual(program.out.decode(), "11 a b 1\n11 c 1\n")
        program = self.run_to_end("run", "-k", "-j1", "-q", "echo", "slot {%} of {}", ":::", "a b")
        self.assertEqual(program.out.decode(), "slot 1 of a b\n")

    def test_of_ten_slots_the_shell_pads_the_number(self):
        self.assertEqual(self.run_to_end("run", "--plus", "-j10", "echo x{0%}", ":::", "a").out, b"x01\n")

    def test_the_number_of_jobs_is_known_before_the_first(self):
        self.assertEqual(self.run_to_end("run", "-k", "--plus", "echo {#}/{##} {0#} {}", stdin=range(10)).out, b"".join(b"%d/10 %02d %d\n" % (n + 1, n + 1, n) for n in range(10)))
        self.assertEqual(self.run_to_end("run", "-k", "--plus", "--tagstring", "{##}", "-N2", "echo", ":::", "a", "b", "c").out, b"2\ta b\n2\tc\n")
        self.assertIn("{##}", self.run_to_end("run", "--pipe", "--plus", "echo {##}", stdin=[1], status=102).err)

    def test_what_is_not_supported_is_refused_by_name(self):
        for words, said in {
            ("echo", "{= s/a/b/ =}"): "{= PERL =}",
            ("--plus", "echo", "{uniq}"): "{uniq}",
            ("--rpl", "{x} system(1)", "echo", "{x}"): "--rpl",
            ("--parens", ",,,,", "echo"): "--parens",
            ("--argv",): "--argv",
            ("--argv", "echo", "{%}"): "--argv",
            ("--out", "same", "echo"): "--out same",
            ("--tagstring", "{%}", "echo"): "--tagstring",
        }.items():
            program = self.run_to_end("run", *words, ":::", "a", status=102)
            self.assertIn(said, program.err)
            self.assertEqual(len(program.err.splitlines()), 1, program.err)


if __name__ == "__main__":
    unittest.main()
