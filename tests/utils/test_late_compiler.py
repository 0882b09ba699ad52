"""Torch's compiler stays away until somebody compiles, and is whole then."""

import subprocess
import sys
import textwrap

AWAY = """
    from legged_gym.utils import late_compiler
    late_compiler.begins()
    import sys, tensordict, torch
    weight = torch.nn.Parameter(torch.ones(2))
    adam = torch.optim.Adam([weight])
    weight.sum().backward()
    adam.step()
    adam.zero_grad()
    assert torch.compiler.disable(len)([1]) == torch.compiler.disable()(len)([1]) == 1
    torch._dynamo.graph_break()
    torch._dynamo.trace_rules.clear_lru_cache()
    print("sympy" in sys.modules, len([name for name in sys.modules if name.startswith("torch._dynamo")]))
"""


def said(code: str) -> list[str]:
    """What a fresh process prints."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()


def test_whoever_compiles_gets_the_compiler() -> None:
    """Neither an optimiser nor the observations need it."""
    compiles = "    print(torch.compile(lambda x: x + 1, backend='eager')(weight).tolist()[0] > 1)\n"
    whole = "    print(type(torch._dynamo).__name__, torch._dynamo is sys.modules['torch._dynamo'])\n"
    assert said(AWAY + compiles + whole) == ["False", "1", "True", "module", "True"]


def test_a_part_of_it_can_be_imported_by_name() -> None:
    """Once, as if the whole had been there from the start."""
    parts = "    import torch._dynamo.config as config\n    from torch._dynamo.utils import counters\n"
    same = "    print(config is torch._dynamo.config, counters is torch._dynamo.utils.counters)\n"
    assert said(AWAY + parts + same) == ["False", "1", "True", "True"]


def test_marks_from_before_the_first_compilation_count() -> None:
    """A function that is left out splits the graph; one that is marked twice is marked in the real compiler."""
    marks = """
    @torch.compiler.disable
    def left_out(x):
        return x + 1

    @torch.compiler.assume_constant_result
    def constant():
        return 3

    sizes = []

    def backend(graph, inputs):
        sizes.append(len([node for node in graph.graph.nodes if node.op == "call_function"]))
        return graph.forward

    compiled = torch.compile(lambda x: left_out(x * 2) * 3, backend=backend)
    print(compiled(torch.ones(1)).item(), *sizes, constant._dynamo_marked_constant, left_out(1))
    later = torch.compiler.disable(len)
    print(later is not len and later([1]), type(torch._dynamo).__name__)
    """
    assert said(AWAY + marks)[2:] == ["9.0", "1", "1", "True", "2", "1", "module"]


def test_a_network_that_is_left_out_stays_one() -> None:
    network = "    print(sum(p.numel() for p in torch.compiler.disable(torch.nn.Linear(2, 1)).parameters()))\n"
    assert said(AWAY + network) == ["False", "1", "3"]


def test_one_that_is_there_stays() -> None:
    code = """
        import torch._dynamo
        from legged_gym.utils import late_compiler
        late_compiler.begins()
        import sys, torch._dynamo.utils
        print(type(sys.modules["torch._dynamo"]).__name__, len(torch._dynamo.utils.counters) >= 0)
    """
    assert said(code) == ["module", "True"]
