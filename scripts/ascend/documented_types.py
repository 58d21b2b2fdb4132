"""Data types that the Ascend kernel of each primitive is documented to take on Atlas A2 (Ascend 910B).

MindSpore's compiler does not look at types: it gives a product of float64 its kernel too. What CANN says it takes was
read from these, each the newest that was found, and only the lines for Atlas A2 where a page tells products apart:

- aclnn: the page of the call in CANN's own repositories, branch 9.1.0. The types are those of its tensors.
- aclop: what CANN 8.1.RC1 declares for the cores of ascend910b (`aic-ascend910b-ops-info.json`), and for operators that
  choose at run time the function `op_select_format` of their source. A public copy of the toolkit holds both. CANN 9.1
  has pages for these as well, but they name the types of all products together, and often more than these.
- AICPU: the registration in MindSpore's wheel (`mindspore/ops/_op_impl/aicpu`, 2.10.0).
- HCCL: the page of HcclAllReduce of CANN 8.5.

Which call or operator a primitive becomes is MindSpore's choice. That its plug-in holds the aclnn calls was seen in its
strings; the pairs are from public copies of its sources, some of them older than 2.10. CANN may run a documented type
on the AICPU: float64, mostly. Types that the graphs cannot hold, such as float8, are left out.
"""

from typing import NamedTuple

_MATH = "https://github.com/hicann/ops-math/blob/9.1.0/"
_NN = "https://github.com/hicann/ops-nn/blob/9.1.0/"
_TBE = (
    "https://github.com/leideng/CANN-8.1.RC1/blob/main/Ascend/ascend-toolkit/8.1.RC1/opp/built-in/op_impl/ai_core/tbe/"
)
_CORES = _TBE + "config/ascend910b/aic-ascend910b-ops-info.json"
_AICPU = "mindspore/ops/_op_impl/aicpu/"  # in the wheel
_HCCL = "https://www.hiascend.com/document/detail/zh/canncommercial/850/API/hcclapiref/hcclcpp_07_0021.html"
NOT_DOCUMENTED = "not documented"

Types = frozenset[str]

BOOL: Types = frozenset({"bool"})
INDEX: Types = frozenset({"int32", "int64"})
FLOATS: Types = frozenset({"float16", "bfloat16", "float32"})
WIDE: Types = FLOATS | {"float64"}
COMPLEX: Types = frozenset({"complex64", "complex128"})
INTS: Types = frozenset({"int8", "int16", "int32", "int64", "uint8"})
UNSIGNED: Types = frozenset({"uint16", "uint32", "uint64"})
REAL: Types = WIDE | INTS | BOOL
NUMBERS: Types = REAL | COMPLEX  # of most aclnn calls of arithmetic
FRACTIONS: Types = WIDE | COMPLEX  # what comes out where integers go in
MOVED: Types = FLOATS | INTS | UNSIGNED | BOOL  # of most aclop operators that only move values
ALL: Types = NUMBERS | UNSIGNED
SUMMED: Types = FLOATS | INDEX


class Documented(NamedTuple):
    """The types that a kernel takes and gives, and who says so; no types and NOT_DOCUMENTED where nobody does."""

    inputs: tuple[Types, ...]  # by position among the primitive's inputs; the last is for all that follow too
    output: Types  # of comparisons bool alone, though CANN would write others
    operator: str  # CANN's call or operator
    page: str  # an address, or a path in MindSpore's wheel

    def taken(self, position: int) -> Types:
        """The types of the input at a position, from 0, scalars and tuples counted."""
        return self.inputs[min(position, len(self.inputs) - 1)] if self.inputs else frozenset()


def _aclnn(root: str, folder: str, call: str, types: Types, output: Types | None = None, file: str = "") -> Documented:
    """A call that takes the same types as each input, and gives them where nothing else is said."""
    page = f"{root}{folder}/docs/{file or call}.md"
    return Documented((types,), types if output is None else output, call, page)


def _both(root: str, folder: str, call: str, types: Types, output: Types | None = None) -> Documented:
    """A call that shares its page with the one that writes in place."""
    name = call.removeprefix("aclnn")
    return _aclnn(root, folder, call, types, output, f"{call}%26aclnnInplace{name}")


def _aclop(operator: str, *inputs: Types, output: Types | None = None, source: str = "") -> Documented:
    """An operator on the chip's cores, which gives what it takes first where nothing else is said."""
    page = f"{_TBE}impl/{source}.py" if source else _CORES
    return Documented(inputs, inputs[0] if output is None else output, operator, page)


def _undocumented() -> Documented:
    return Documented((), frozenset(), NOT_DOCUMENTED, "")


_FILLED = FLOATS | INDEX | BOOL | {"int8"}
_DETERMINANTS = frozenset({"float32", "float64"})

DOCUMENTED: dict[str, Documented] = {
    "Abs": _aclnn(_MATH, "math/abs", "aclnnAbs", REAL | {"complex64"}, REAL),
    "Adam": _aclop("ApplyAdamD", FLOATS),
    "Add": _both(_MATH, "math/add", "aclnnAdd", NUMBERS),
    "AddN": _aclop("AddN", SUMMED),
    "AddScalar": _aclnn(_MATH, "math/add", "aclnnAdds", NUMBERS),
    "AllReduce": Documented((SUMMED | {"int8", "int16"},), SUMMED | {"int8", "int16"}, "HcclAllReduce", _HCCL),
    "Assign": _aclop("Assign", MOVED),
    "AssignAdd": _aclop("AssignAdd", SUMMED),
    "BatchMatMul": _aclnn(_NN, "matmul/batch_mat_mul_v3", "aclnnBatchMatMul", FLOATS),
    "BiasAdd": _aclop("BiasAdd", SUMMED, source="dynamic/bias_add"),
    # CANN's page of 9.1 gives the type of the input back, for all products together; the cores' kernels sum to float32.
    "BiasAddGrad": _aclop("BiasAddGrad", FLOATS, output=frozenset({"float32"})),
    "BroadcastTo": _aclnn(_MATH, "math/expand", "aclnnExpand", FLOATS | INDEX | BOOL | {"int8", "uint8"}),
    "Cast": _aclnn(_MATH, "math/cast", "aclnnCast", ALL),
    "Concat": _aclnn(_MATH, "conversion/concat_d", "aclnnCat", REAL | {"complex64"}),
    "Cos": _both(_MATH, "math/cos", "aclnnCos", NUMBERS, FRACTIONS),
    "CumSum": _aclop("Cumsum", FLOATS | {"int32"}, INDEX),
    "Div": _both(_MATH, "math/div", "aclnnDiv", NUMBERS, FRACTIONS),
    "Divs": _both(_MATH, "math/div", "aclnnDivs", NUMBERS, FRACTIONS),
    "DropoutDoMask": _aclop("DropOutDoMask", FLOATS, frozenset({"uint8"}), FLOATS, source="dynamic/drop_out_do_mask"),
    "DropoutGenMask": Documented(
        (INDEX, frozenset({"float16", "float32"}), frozenset({"uint64"})),
        frozenset({"uint8"}),
        "DropoutGenMask",
        _AICPU + "dropout_genmask.py",
    ),
    "EqScalar": _both(_MATH, "math/equal", "aclnnEqScalar", NUMBERS, BOOL),
    "Equal": _both(_MATH, "math/equal", "aclnnEqTensor", NUMBERS, BOOL),
    "Exp": _both(_MATH, "math/exp", "aclnnExp", FRACTIONS | BOOL | {"int64"}, FRACTIONS),
    "ExpandDims": _undocumented(),  # no kernel of CANN: a view, or a copy of the bytes
    "FillV2": _aclop("Fill", INDEX, _FILLED, output=_FILLED),
    "Floor": _both(_MATH, "math/floor", "aclnnFloor", WIDE | INTS | UNSIGNED),
    "FloorDiv": _both(_MATH, "math/floor_div", "aclnnFloorDivide", REAL, WIDE | INTS | COMPLEX),
    "Gather": _aclop("GatherV2", MOVED, INDEX),
    "Greater": _both(_MATH, "math/greater", "aclnnGtTensor", REAL | UNSIGNED, BOOL),
    "GreaterEqual": _both(_MATH, "math/greater_equal", "aclnnGeTensor", REAL | UNSIGNED, BOOL),
    "IsFinite": _aclnn(_MATH, "math/is_finite", "aclnnIsFinite", WIDE, BOOL),
    "LayerNorm": _aclop("LayerNorm", FLOATS, source="dynamic/layer_norm"),
    # Declared for all inputs of one type, and without bfloat16, which CANN's LayerNormGradV3 takes.
    "LayerNormGrad": _aclop("LayerNormGrad", frozenset({"float16", "float32"})),
    "Less": _both(_MATH, "math/less", "aclnnLtTensor", REAL | UNSIGNED, BOOL),
    "LessScalar": _both(_MATH, "math/less", "aclnnLtScalar", REAL | UNSIGNED, BOOL),
    "Log": _both(_MATH, "math/log", "aclnnLog", NUMBERS, FRACTIONS),
    "Log1p": _both(_MATH, "math/log1p", "aclnnLog1p", REAL, WIDE),
    "LogicalAnd": _both(_MATH, "math/logical_and", "aclnnLogicalAnd", NUMBERS, BOOL),
    "LogMatrixDeterminant": Documented(
        (_DETERMINANTS,), _DETERMINANTS, "LogMatrixDeterminant", _AICPU + "log_matrix_determinant.py"
    ),
    "MatMul": _aclnn(_NN, "matmul/mat_mul_v3", "aclnnMatmul", FLOATS),
    "MatrixInverse": Documented((_DETERMINANTS,), _DETERMINANTS, "MatrixInverse", _AICPU + "matrix_inverse.py"),
    "Max": _aclnn(_MATH, "math/reduce_max", "aclnnMax", REAL),
    "Maximum": _aclnn(_MATH, "math/maximum", "aclnnMaximum", REAL),
    "Minimum": _aclnn(_MATH, "math/minimum", "aclnnMinimum", REAL),
    "Mul": _both(_MATH, "math/mul", "aclnnMul", NUMBERS),
    "Muls": _both(_MATH, "math/muls", "aclnnMuls", NUMBERS),
    "Neg": _both(_MATH, "math/neg", "aclnnNeg", FRACTIONS | INDEX | {"int8"}),
    "OnesLike": _aclop("OnesLike", FLOATS | BOOL | {"int8", "int32", "uint8"}),
    "PowTensorScalar": _both(_MATH, "math/pow", "aclnnPowTensorScalar", NUMBERS),
    "RealDiv": _aclop("RealDiv", FLOATS | BOOL | {"int32"}, output=FLOATS | {"int32"}, source="dynamic/real_div"),
    "Reciprocal": _both(_MATH, "math/reciprocal", "aclnnReciprocal", NUMBERS, FRACTIONS),
    "ReduceAny": _aclnn(_MATH, "math/reduce_any", "aclnnAny", REAL, BOOL),
    "ReduceMean": _aclop("ReduceMean", FLOATS, INDEX),
    "ReduceSum": _aclnn(_MATH, "math/reduce_sum", "aclnnReduceSum", NUMBERS),
    "ReLU": _both(_NN, "activation/relu", "aclnnRelu", SUMMED | {"int8"}),
    "ReluGrad": _aclnn(
        _NN, "activation/threshold_grad_v2_d", "aclnnThresholdBackward", FLOATS | {"int8", "int32", "uint8"}
    ),
    "Reshape": _undocumented(),  # as ExpandDims
    "Rsqrt": _both(_MATH, "math/rsqrt", "aclnnRsqrt", NUMBERS, FRACTIONS),
    "RsqrtGrad": _aclop("RsqrtGrad", FLOATS | {"int8", "int32"}),
    "ScatterUpdate": _aclop("ScatterUpdate", SUMMED, INDEX, SUMMED),
    "Select": Documented((BOOL | {"uint8"}, ALL, ALL), ALL, "aclnnSWhere", _MATH + "math/select/docs/aclnnSWhere.md"),
    "Sigmoid": _both(_NN, "activation/sigmoid", "aclnnSigmoid", FLOATS),
    "SigmoidGrad": _aclnn(_NN, "activation/sigmoid_grad", "aclnnSigmoidBackward", FRACTIONS),
    "Sign": _aclnn(_MATH, "math/sign", "aclnnSign", FRACTIONS | INDEX | BOOL),
    "Sin": _both(_MATH, "math/sin", "aclnnSin", NUMBERS, FRACTIONS),
    "Softmax": _aclnn(_NN, "activation/softmax_v2", "aclnnSoftmax", WIDE),
    "Split": _aclop("SplitD", MOVED, source="dynamic/split_d"),
    "SplitWithSize": _aclnn(_MATH, "conversion/split_v", "aclnnSplitWithSize", ALL),
    "Sqrt": _both(_MATH, "math/sqrt", "aclnnSqrt", NUMBERS, FRACTIONS),
    "SqrtGrad": _aclop("SqrtGrad", FLOATS),
    # MindSpore calls aclnnMul or aclnnPowTensorScalar: which one was not found. Their pages name the same types.
    "Square": _both(_MATH, "math/mul", "aclnnMul", NUMBERS),
    "Squeeze": _undocumented(),  # as ExpandDims
    "Stack": _aclop("Pack", MOVED, source="pack"),
    "StridedSlice": _aclop("StridedSlice", MOVED | {"complex64"}, INDEX),
    "StridedSliceGrad": _aclop("StridedSliceGrad", FLOATS | {"int32"}, INDEX),
    "Sub": _both(_MATH, "math/sub", "aclnnSub", NUMBERS),
    "SumExt": _aclnn(_MATH, "math/reduce_sum", "aclnnReduceSum", NUMBERS),
    "Tanh": _both(_MATH, "math/tanh", "aclnnTanh", FLOATS | INTS | BOOL, FLOATS),
    "TensorMove": _aclop("TensorMove", MOVED | {"float64"}),
    "Tile": _aclnn(_MATH, "math/tile", "aclnnRepeat", ALL),
    "Transpose": _aclnn(_MATH, "conversion/transpose", "aclnnPermute", ALL),
    "UnsortedSegmentSum": _aclop(
        "UnsortedSegmentSum", FLOATS | {"int32"}, INDEX, source="dynamic/unsorted_segment_sum"
    ),
    "Unstack": _aclop("Unpack", MOVED - BOOL, source="dynamic/unpack"),
    "ZerosLike": _aclop("ZerosLike", _FILLED | {"uint8"}),
}
