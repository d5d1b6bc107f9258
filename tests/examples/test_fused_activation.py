"""The example of a custom activation: what it prints, and that it is fused."""

from __future__ import annotations


def test_the_activation_is_an_epilogue(example, capsys):
    program = example("fused_activation").main()
    first, second = program.fused.kernels()
    assert [n.op.name for n in first.epilogue] == ["add", "quick_gelu"]
    assert [n.op.name for n in second.epilogue] == ["add"]
    printed = capsys.readouterr().out
    assert "quick_gelu(t0)" in printed and "6 operations became 2 kernels" in printed
