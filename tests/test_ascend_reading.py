"""Kernels and types read from MindSpore's log and its dumps of a compilation for Ascend."""

import ascend_dry_run
import pytest
from ascend import reading
from ascend.compilation import Case, Result, objections
from ascend.reading import Compiled, Kernel, read


def kernel(primitive="Add", kind="aclnn", loop="", in_place=False, dynamic=False):
    return Kernel(primitive, kind, loop, in_place, dynamic)


def types(taken, given):
    return reading.Types(tuple(taken.split()), tuple(given.split()))


@pytest.mark.parametrize(
    "compiled, objection",
    [
        (Compiled([], [], {"O0"}, 0, {}), "no kernel was compiled"),
        (Compiled([kernel()], [], {"O1"}, 0, {}), "compiled at jit level O1, not O0"),
        (Compiled([kernel("Generator", "CPU")], [], {"O0"}, 0, {}), "on the host: Generator"),
        (Compiled([kernel("DropoutGenMask", "AICPU", "scan")], ["scan"], {"O0"}, 0, {}), "on the AICPU in a loop: DropoutGenMask"),
        (Compiled([kernel(dynamic=True, loop="scan")], ["scan"], {"O0"}, 0, {}), "dynamic shapes in a loop: Add"),
        (Compiled([kernel()], [], {"O0"}, 2, {}), "2 copies between host and device inside the graph"),
        (
            Compiled([kernel("MatMul")], [], {"O0"}, 0, {"MatMul": {types("float64 float32 - -", "float64")}}),
            "types that CANN is not documented to take: MatMul float64",
        ),
        (Compiled([kernel("MatMul")], [], {"O0"}, 0, {"MatMul": {types("float32 float32 - -", "float32")}}), ""),
        (
            Compiled([kernel("Gather", "aclop")], [], {"O0"}, 0, {"Gather": {types("float32 float32 -", "float32")}}),
            "types that CANN is not documented to take: Gather float32",
        ),
        (
            Compiled([kernel("Fft")], [], {"O0"}, 0, {}),
            "types that CANN is not documented to take: Fft (not in the list)",
        ),
        (Compiled([kernel("DropoutGenMask", "AICPU"), kernel(loop="scan")], ["scan"], {"O0"}, 0, {}), ""),
    ],
)  # fmt: skip
def test_objections(compiled, objection):
    assert "; ".join(objections(Case(0, "graph", "O0", 1), compiled)) == objection


LOG = """
a.cc:1] CompileGraph] Compile graph: 3_net_construct_7, Split segments size: 2
a.cc:1] CompileGraph] Status record: start compile graph.
b.cc:1] GenerateKernelMod] kernel opname:Reshape, kernel type:rt_kernel
b.cc:1] GenerateKernelMod] kernel opname:MatMul, kernel type:opapi_kernel
a.cc:1] CompileGraph] Compile graph: 5_2_↵net_Scan_construct_9, Split segments size: 1
a.cc:1] CompileGraph] Status record: start compile graph.
b.cc:1] GenerateKernelMod] kernel opname:Less, kernel type:opapi_kernel
a.cc:1] CompileGraph] Compile graph: 6_2_↻net_Scan_construct_8, Split segments size: 1
a.cc:1] CompileGraph] Status record: start compile graph.
b.cc:1] GenerateKernelMod] kernel opname:GraphKernel_Add_Mul_fusion, kernel type:akg_kernel
b.cc:1] GenerateKernelMod] kernel opname:ScatterUpdate, kernel type:acl_kernel
"""
EXECUTE = """
jit_level: O1
subgraph @3_net_construct_7() {
  %1 = call @5_2_↵net_Scan_construct_9(%0)
}
subgraph @5_2_↵net_Scan_construct_9(%para1) {
  %1 = Partial(@6_2_↻net_Scan_construct_8, %para1)
  %2 = Partial(@7_2_↓net_Scan_construct_6, %para1)
}
subgraph @6_2_↻net_Scan_construct_8(%para1) {
  %1 = call @5_2_↵net_Scan_construct_9(%para1)
}
subgraph @7_2_↓net_Scan_construct_6(%para1) {
}
"""


BUILT = """
subgraph @kernel_graph1() {
  %0(CNode_7) = PrimFunc_Less(%para12_фt, I64(5)) primitive_attrs: {stream_id: U32(0)}
      : (<Tensor[Int32], ()>, <Int64, NoShape>) -> (<Tensor[Bool], ()>)
      : (<Int32xDefaultFormat[const vector]{}>, <Int64xDefaultFormat{}>) -> (<BoolxDefaultFormat[const vector]{}>)
  %1(CNode_8) = Concat(%para1_x, %para2_weight, I64(0))
      : (<Tensor[Float32], (2, 4), value=...>, <Ref[Tensor[Float32]], (2, 4), ref_key=w>, <Int64, NoShape>) -> (<Tensor[Float32], (4, 4)>)
  %2(CNode_9) = GraphKernel_Add_Mul_fusion(%1, %1)
      : (<Tensor[Float16], (4, 4)>, <Tensor[Float16], (4, 4)>) -> (<Tensor[Float16], (4, 4)>)
}
"""


def actor(name, skipped=0, reference="", context="Ascend_0"):
    flags = f"is_dynamic_shape:0\tis_launch_skipped:{skipped}"
    device = f"{reference}\t\t\tdevice_context:{context}\n\n"
    return f"\tactor_name:0_{name}\tactor_id:3\n\t\tkernel_name:{name}\t{flags}\n{device}"


def write_dumps(folder, *actors):
    (folder / "24_execute_0042.ir").write_text(EXECUTE)
    (folder / "graph_build_15_1008.ir").write_text(BUILT)
    (folder / "actor_set").mkdir()
    text = f"[Kernel actors:{len(actors)}]\n{''.join(actors)}[Super kernel actors:0]\n[Copy actors:0]\n"
    (folder / "actor_set" / "0_actor_set_net.ir").write_text(text)


def test_kernels_are_read_from_log_and_dumps(tmp_path):
    write_dumps(
        tmp_path,
        actor("Default/MatMul-op0"),
        actor("Default/Reshape-op0", skipped=1, reference="\t\tref index:(0, 0)\n"),
        actor("Default/Less-op0"),
        actor("Default/GraphKernel_Add_Mul_fusion-op0"),
        actor("Default/ScatterUpdate-op0", reference="\t\tref index:(0, 0)\n"),
    )
    found = read(tmp_path, LOG)
    assert found == Compiled(
        [
            kernel("MatMul"),
            kernel("Reshape", "view"),
            kernel("Less", loop="Scan 1"),
            kernel("GraphKernel_Add_Mul_fusion", "fused", "Scan 1"),
            kernel("ScatterUpdate", "aclop", "Scan 1", in_place=True),
        ],
        ["Scan 1"],
        {"O1"},
        0,
        {"Less": {types("int32 -", "bool")}, "Concat": {types("float32 float32 -", "float32")}},
    )
    record = ascend_dry_run.record(Result(Case(0, "graph", "O1", 1), "", found))
    assert record["launches"] == 4 and record["launches_by_loop"] == {"Scan 1": 3}
    assert record["kernels"] == {
        "Add": "fused", "Less": "aclnn", "MatMul": "aclnn", "Mul": "fused", "Reshape": "view", "ScatterUpdate": "aclop"
    }  # fmt: skip


@pytest.mark.parametrize(
    "function, name",
    [("4735_2784_↵src_models_lstm_LSTMScan_construct_9564", "LSTMScan"), ("12_↓free_run_3", "free_run")],
)
def test_a_loop_is_named_by_its_class_or_function(function, name):
    assert reading._loop_name(function) == name


@pytest.mark.parametrize("actors", [["Default/MatMul-op0"], ["Default/Sub-op0", "Default/MatMul-op0"]])
def test_a_log_that_says_something_else_than_the_dump_is_refused(tmp_path, actors):
    write_dumps(tmp_path, *map(actor, actors))
    with pytest.raises(RuntimeError, match=r"MindSpore 2\.10"):
        read(tmp_path, LOG)
