"""Stand-ins for the libraries of CANN, with which MindSpore's Ascend plug-in loads on a computer that has none.

The wheel holds the whole plug-in, and only CANN's shared libraries are missing. All functions that the plug-in wants of
them are gathered from its symbols and its strings; one library is compiled in which each returns 0, and takes the names
of all libraries that are missing. Written for MindSpore 2.10 on Linux.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from src.errors import InputError

CANN_VERSION = "9.0.0"
STUB = "libcann_stub.so"
TOOLS = ("g++", "nm", "readelf", "strings", "c++filt")

# Functions that the plug-in loads by name, as its strings hold them, and those whose names it puts together.
BY_NAME = re.compile(r"^(?:acl(?:nn|rt|op|mdl|tdt|prof|sys|dvpp)?[A-Z]|Hccl[A-Z]|rt[A-Z])\w+$", re.MULTILINE)
OF_EACH_OPERATOR_LIBRARY = (
    "InitHugeMemThreadLocal",
    "UnInitHugeMemThreadLocal",
    "ReleaseHugeMem",
    "InitPTACacheThreadLocal",
    "SetPTAHashKey",
    "CanUsePTACache",
    "PTAGetExecCache",
    "PTAFindExecCache",
    "GetOpExecCache",
)
LIBRARY = re.compile(r"^/?((?:[\w.-]+/)*lib[\w+-]+\.so)$", re.MULTILINE)
MAY_STAY_UNDEFINED = re.compile(r"_?Py|_ITM_|_Jv_|__gcov_|__gmon_|_ZTH")  # Python's own, and weak ones of compilers


class Function(NamedTuple):
    """A stub that must give more than 0, as MindSpore uses its result while it compiles."""

    begins: str  # the readable name
    signature: str  # result and parameters, around NAME
    body: str


FUNCTIONS = (
    Function(
        "ge::StatusFactory::Instance(", "void* NAME()", "static auto* maps = new std::map<int, void*>[8]; return maps;"
    ),
    Function(
        "ge::OperatorFactory::CreateOperator(", "void* NAME(void** out)", "out[0] = out[1] = out[2] = 0; return out;"
    ),
    Function(
        "ge::Operator::GetAttr(char const*, bool&)", "int NAME(void*, char*, bool* out)", "*out = false; return 0;"
    ),
    Function("aclopCreateAttr", "void* NAME()", "return calloc(1, 256);"),
    Function(
        "aclsysGetCANNVersion",
        "int NAME(int, Version* out)",
        f'static const Version version = {{"{CANN_VERSION}", "9", "0", "0", "0"}}; *out = version; return 0;',
    ),
)
PREAMBLE = """\
#include <cstdlib>
#include <map>
struct Version { char whole[128], major[64], minor[64], release[64], patch[64]; };
"""


def stub_environment() -> dict[str, str]:
    """Environment variables under which MindSpore finds the stand-ins; they are made first where the cache has none.

    Raises:
        InputError: a compiler, MindSpore or its plug-in is missing.
    """
    folder = _made()
    paths = {"LD_LIBRARY_PATH": folder / "cann" / "latest" / "lib64", "PYTHONPATH": folder / "python"}
    return {name: os.pathsep.join(filter(None, (str(path), os.environ.get(name)))) for name, path in paths.items()}


def missing_tools() -> list[str]:
    """The programs that are needed and not there."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def _made() -> Path:
    if missing := missing_tools():
        raise InputError(
            f"{', '.join(missing)} not found on the PATH; install g++ and binutils (Debian: apt install g++)"
        )
    spec = importlib.util.find_spec("mindspore")
    if not (spec and spec.origin):
        raise InputError(
            "this Python has no MindSpore; activate an environment that has it, such as . .venv/bin/activate"
        )
    package = Path(spec.origin).parent
    plugin = package / "lib" / "plugin" / "libmindspore_ascend.so.2"
    if not plugin.is_file():
        raise InputError(
            f"{package} holds no Ascend plug-in ({plugin.name}); the wheel of PyPI for Linux x86-64 has it"
        )
    facts = (Path(__file__).read_bytes(), str(package), plugin.stat().st_size, plugin.stat().st_mtime_ns)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "tacotron2-mindspore"
    folder = cache / f"ascend-stubs-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".ascend-stubs") as aside:
            _make(package, Path(aside))
            Path(aside).chmod(0o755)
            if not folder.is_dir():  # another process may have been faster
                shutil.copytree(aside, f"{aside}.whole", symlinks=True)
                os.replace(f"{aside}.whole", folder)
    except OSError as error:
        raise InputError(
            f"{cache}: stand-ins for CANN cannot be written there ({error}); XDG_CACHE_HOME names another"
        ) from error
    return folder


def _make(package: Path, folder: Path) -> None:
    machine = _elf_head(package / "lib" / "plugin" / "libmindspore_ascend.so.2")
    libraries = [path for path in package.rglob("*.so*") if path.is_file() and _elf_head(path) == machine]
    libraries = [path for path in libraries if "gpu" not in str(path.relative_to(package))]
    plugin = [path for path in libraries if "ascend" in str(path.relative_to(package))]
    own = {path.name for path in libraries}

    linked = set().union(*_each(_needed, plugin)) - own
    system = {name: path for name in linked if (path := _of_system(name))}
    texts = _each(lambda path: _output("strings", "-a", "-n", "5", path), plugin)
    opened = {path for text in texts for path in LIBRARY.findall(text)}
    opened = {path for path in opened if Path(path).name not in own and not _of_system(Path(path).name)}

    defined = set().union(*_each(_defined, [*libraries, *system.values()]))
    wanted = {name for name in set().union(*_each(_undefined, plugin)) if not MAY_STAY_UNDEFINED.match(name)} - defined
    by_name = {name for text in texts for name in BY_NAME.findall(text)}
    operators = {name.removesuffix("GetWorkspaceSize") for name in by_name if name.startswith("aclnn")}
    by_name |= operators | {f"{name}GetWorkspaceSize" for name in operators} | set(OF_EACH_OPERATOR_LIBRARY)

    library = folder / "cann" / "latest" / "lib64" / STUB  # MindSpore looks for `latest/` in the path
    library.parent.mkdir(parents=True)
    source = folder / "cann_stub.cc"
    source.write_text(_source(sorted(wanted | by_name - defined)), encoding="utf-8")
    _output("g++", "-shared", "-fPIC", "-w", source, "-o", library)
    for name in linked - set(system) | {
        path.split("lib64/")[1] if "lib64/" in path else Path(path).name for path in opened
    }:
        link = library.parent / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(library, link.parent))
    hccl = folder / "python" / "hccl"  # whose version MindSpore reads where there are several ranks
    hccl.mkdir(parents=True)
    (hccl / "__init__.py").touch()
    (hccl / "sys_version.py").write_text(f'__sys_version__ = "{CANN_VERSION[:3]}"\n', encoding="utf-8")


def _source(names: list[str]) -> str:
    readable = _output("c++filt", given="\n".join(names)).splitlines()
    lines = [PREAMBLE]
    for number, (name, text) in enumerate(zip(names, readable, strict=True)):
        special = next((function for function in FUNCTIONS if text.startswith(function.begins)), None)
        signature, body = (special.signature, special.body) if special else ("long NAME()", "return 0;")
        head = f'extern "C" {signature.replace("NAME", f"stub{number}")}'
        lines.append(f'{head} __asm__("{name}"); {head} {{ {body} }}')
    return "\n".join(lines) + "\n"


def _output(*command: str | Path, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _each(function: Callable, items: Iterable) -> list:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, items))


def _elf_head(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(20)
    return head[:6], head[18:]  # format, word size and byte order; processor


def _symbols(path: Path, option: str) -> list[str]:
    return [line.split()[-1] for line in _output("nm", "-D", option, path).splitlines() if line]


def _defined(path: Path) -> set[str]:
    return {name.split("@")[0] for name in _symbols(path, "--defined-only")}


def _undefined(path: Path) -> set[str]:
    return {name for name in _symbols(path, "--undefined-only") if "@" not in name}  # with a version: the system's


def _needed(path: Path) -> set[str]:
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", _output("readelf", "-d", path)))


def _of_system(name: str) -> Path | None:
    path = Path(_output("g++", f"-print-file-name={name}").strip())
    return path if path.is_absolute() else None
