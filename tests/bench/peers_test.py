#!/usr/bin/python3
"""What `make bench-peers` promises about its files, its protocol and its ratios. Needs numpy (exit status 77: skipped)."""
import json
import os
import shutil
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/peers"))
try:
    import numpy as np
except ImportError:
    sys.exit(77)

import gguf
import machine
import measure
import models
import rows
import safetensors
import sides
import table
import work


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.numbers = np.random.default_rng(1).standard_normal((8, 64)).astype(np.float32)

    def test_bfloat16_rounds_to_the_nearest_and_ties_to_even(self):
        cases = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-7 + 2**-9, -3.0], np.float32)
        rounded = safetensors.from_bfloat16(safetensors.to_bfloat16(cases))
        self.assertEqual(rounded.tolist(), [1, 1, 1 + 2**-6, 1 + 2**-7, -3])

    def test_a_safetensors_file_gives_back_what_was_written(self):
        path = self.folder / "x.safetensors"
        safetensors.write(path, {"a": (8, 64), "b": (64,)}, lambda name, _: self.numbers if name == "a" else self.numbers[0])
        read = safetensors.Tensors(path)
        self.assertEqual(list(read), ["a", "b"])
        np.testing.assert_array_equal(read["a"], self.numbers)
        np.testing.assert_array_equal(read["b"], self.numbers[0])

    def test_q8_0_is_within_half_a_step(self):
        blocks = gguf._q8_0(self.numbers)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        back = scale * blocks[:, 2:].copy().view(np.int8)
        error = np.abs(back - self.numbers.reshape(-1, 32))
        self.assertLess((error / scale).max(), 0.5 + 127 * 2**-11)  # the scale itself is rounded to float16

    def test_q4_0_keeps_the_largest_and_is_within_a_step(self):
        blocks = gguf._q4_0(self.numbers)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], 1).astype(np.float32) - 8
        x, back = self.numbers.reshape(-1, 32), scale * nibbles
        largest = np.abs(x).argmax(1)
        each = np.arange(len(x))
        np.testing.assert_allclose(back[each, largest], x[each, largest], rtol=1e-3)
        self.assertLess((np.abs(back - x) / np.abs(scale)).max(), 1.01)

    def test_rotary_pairs_become_neighbours_within_their_head(self):
        weight = np.arange(8)[:, None].repeat(3, 1)  # two heads of four outputs
        self.assertEqual(gguf._pairs_interleaved(weight, 2)[:, 0].tolist(), [0, 2, 1, 3, 4, 6, 5, 7])


_SIDE = """
import json, sys
print("a library says hello")
print(json.dumps({"ready": "fake 1"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["row"] == "dies": sys.exit(3)
    print("noise", flush=True)
    answer = {"values": [2.0] * request["runs"]} if request["row"] == "works" else {"error": "it cannot"}
    print(json.dumps(answer), flush=True)
"""


class Protocol(unittest.TestCase):
    def setUp(self):
        self.side = sides.Side([sys.executable, "-c", _SIDE], {}, None)
        self.addCleanup(self.side._process.stdout.close)
        self.addCleanup(self.side._process.stdin.close)
        self.addCleanup(self.side.close)

    def test_lines_that_are_no_answers_are_passed_over(self):
        self.assertEqual(self.side.name, "fake 1")
        self.assertEqual(self.side.measure("works", 3), [2.0] * 3)

    def test_between_requests_a_side_is_stopped(self):
        self.side.measure("works", 1)
        status = Path(f"/proc/{self.side._process.pid}/status").read_text()
        self.assertIn("T (stopped)", status)

    def test_what_a_side_cannot_do_is_said(self):
        with self.assertRaisesRegex(sides.Failed, "it cannot"):
            self.side.measure("else", 1)

    def test_a_side_that_dies_is_reported_with_its_status(self):
        with self.assertRaisesRegex(sides.Failed, "status 3"):
            self.side.measure("dies", 1)


class Ratios(unittest.TestCase):
    def setUp(self):
        self.ours, self.ways = rows.SideOf("Tessera", "int8"), (rows.SideOf("P", "int8", "a"), rows.SideOf("P", "int8", "b"))
        self.line = rows.Line("m", "line", "batch-1", self.ours, self.ways, 1.5)
        self.running = measure.Running(rows.Group("m", lines=[self.line]), None, None, 1, None)
        self.addCleanup(self.running.__exit__)
        times = {self.ours: [1, 2, 1], self.ways[0]: [9, 9, 9], self.ways[1]: [2, 8, 1]}
        self.running.times = {(side, "batch-1"): ms for side, ms in times.items()}

    def test_a_ratio_is_the_median_of_rounds_against_the_fastest_way(self):
        result = self.running.result(self.line)
        self.assertEqual((result.way, result.ratio, result.low, result.high), ("b", 2, 1, 4))
        self.assertTrue(result.met)

    def test_a_way_that_differs_is_not_compared_with(self):
        self.running.problems[self.ways[1], "batch-1"] = "differs: cosine 0.1"
        self.assertEqual(self.running.result(self.line).way, "a")

    def test_without_a_peer_the_bar_is_not_judged(self):
        for way in self.ways:
            self.running.problems[way, "batch-1"] = "missing: no such package"
        result = self.running.result(self.line)
        self.assertIsNone(result.met)
        self.assertIn("not judged", table.markdown([result])[-1])
        self.assertEqual(json.loads(table.as_json([result])[0])["problem"], "missing: no such package")

    def test_with_a_wrong_output_of_ours_there_is_no_ratio(self):
        self.running.problems[self.ours, "batch-1"] = "differs: cosine 0.1"
        self.assertIsNone(self.running.result(self.line).ratio)

    def test_work_counts_where_the_rows_differ(self):
        many = rows.Line("m", "line", "batch-1", self.ours, (self.ours,), 5, 128, "tokens/s", "one", 16)
        self.running.times[self.ours, "one"] = [1, 2, 1]
        self.assertEqual(self.running.result(many).ratio, 8)

    def test_one_wrong_vector_is_not_averaged_away(self):
        right = np.ones((100, 4), np.float32)
        wrong = right.copy()
        wrong[7] = [1, -1, 1, -1]
        self.assertAlmostEqual(measure.cosine(right.ravel(), right.ravel(), 100), 1)
        self.assertAlmostEqual(measure.cosine(wrong.ravel(), right.ravel(), 100), 0)
        wrong[7] = np.nan
        self.assertEqual(measure.cosine(wrong.ravel(), right.ravel(), 100), 0)

    def test_every_side_of_the_table_has_a_tolerance(self):
        for group in rows.groups().values():
            for line in group.lines:
                for side in (line.ours, *line.peers):
                    if side.program != rows.MACHINE:
                        self.assertIn(side.precision, rows.TOLERANCE)

    def test_beside_the_machine_the_ratio_is_one_of_rates(self):
        limit = rows.SideOf(rows.MACHINE, "int8")
        line = rows.Line("m", "line", "batch-1", self.ours, (limit,), 0.9, 30, "GFLOP/s")
        self.running.times[limit, "batch-1"] = [0.5, 0.8, 0.4]
        self.running.amounts = {limit: 20, self.ours: 0}
        result = self.running.result(line)
        self.assertEqual((result.ratio, result.ours, result.peer), (0.6, 30000, 40000))
        self.assertIs(result.met, False)
        self.assertIn("a large product, int8", table.text([result])[-1])

    def test_what_a_side_says_of_its_work_counts_where_the_line_does_not(self):
        limit = rows.SideOf(rows.MACHINE, "read")
        line = rows.Line("m", "line", "batch-1", self.ours, (limit,), 0.9, 0, "GB/s")
        self.running.times[limit, "batch-1"] = [1, 2, 1]
        self.running.amounts = {limit: 4, self.ours: 3}
        self.assertEqual(self.running.result(line).ratio, 0.75)


    def test_peak_memory_may_be_15_percent_more_than_the_weights(self):
        line = rows.groups()["memory-vit"].lines[0]
        for peak, met in ((114, True), (116, False)):
            self.running.times = {(line.ours, "memory"): [peak], (line.ours, "weights"): [100]}
            result = self.running.result(line)
            self.assertEqual((result.met, result.ratio), (met, 100 / peak))
        self.assertIn("its weights", table.text([result])[-1])

    def test_a_group_that_compares_no_outputs_needs_no_reference(self):
        start = rows.groups()["start"]
        with unittest.mock.patch.object(measure.starting, "start", side_effect=AssertionError):
            measure.Running(start, None, None, 1, None)._check_reference()

    def test_smaller_models_have_less_work_and_no_bars(self):
        whole, small = rows.groups()["vit"].lines, rows.groups(2)["vit"].lines
        self.assertGreater(whole[0].work, 5 * small[0].work)
        self.assertTrue(any(line.bar for line in whole))
        self.assertFalse(any(line.bar for line in small))


class Work(unittest.TestCase):
    """Against the multiply-adds that timm gives, and the operations of BERT in the paper of TinyBERT (22.5 G)."""

    def test_the_arithmetic_is_the_published_one(self):
        configs = models.configs()
        self.assertAlmostEqual(work.vit(configs["vit"]) / 2, 17.58, 1)
        self.assertAlmostEqual(work.vit(configs["vit-large"]) / 2, 191.2, 0)
        self.assertAlmostEqual(work.vit(configs["vit-small"]) / 2, 4.6, 1)
        self.assertAlmostEqual(work.bert(configs["bert"], 128), 22.5, delta=0.2)

    def test_causal_attention_is_half(self):
        config = models.configs()["llama"]
        linear = 2 * work.llama_prefill(config, 1)
        self.assertLess(work.llama_prefill(config, 512) / 512, linear)


class Machine(unittest.TestCase):
    def test_work_of_its_own_children_is_not_that_of_others(self):
        others = machine.OtherWork()
        busy, own, took = others._busy_seconds(), others._own_seconds(), 60 * os.cpu_count()
        others._began -= 100
        for ours, expected in ((took, 0), (took / 3, 0.4)):
            with unittest.mock.patch.object(others, "_busy_seconds", lambda: busy + took), \
                    unittest.mock.patch.object(others, "_own_seconds", lambda: own + ours):
                self.assertAlmostEqual(others.share(), expected, 2)
                self.assertEqual("noise" in others.doubt(), expected > 0)


class Models(unittest.TestCase):
    def test_a_written_model_is_kept_and_one_of_other_sizes_is_not_taken_for_it(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        first = models.write(folder, "vit", 1)
        written = (first / "model.safetensors").stat().st_mtime_ns
        self.assertEqual(models.write(folder, "vit", 1), first)
        self.assertEqual((first / "model.safetensors").stat().st_mtime_ns, written)
        self.assertNotEqual(models.write(folder, "vit", 2), first)


if __name__ == "__main__":
    unittest.main()
