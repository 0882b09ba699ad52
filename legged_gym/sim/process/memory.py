"""Memory that both processes see, cut into named tensors: a mapped file on the CPU, CUDA IPC on a GPU.

The trainer makes it and outlives the worker, so a worker that dies takes nothing with it and its successor finds the
same memory. There is no name in any file system and nothing to clean up: the kernel frees the memory with the last
process that has it. The CUDA side speaks the driver's own interface, for two versions of torch agree on no other.
Python 3.8, standard library, numpy and torch.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

_ALIGNMENT = 64
_HANDLE_BYTES = 64
_BLOCK_BYTES = 2 * 2**20
_LAZY_PEER_ACCESS = 1


class Field(NamedTuple):
    """A tensor in the shared memory."""

    name: str
    dtype: str
    """Name of the type, the same in numpy and torch: float32, uint8, ..."""
    shape: Sequence[int]
    offset: int
    """[bytes]"""

    @property
    def size(self) -> int:
        """[bytes]"""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))


def lay_out(tensors: Iterable[tuple[str, str, Sequence[int]]]) -> list[Field]:
    """Give each (name, dtype, shape) a place of its own."""
    fields: list[Field] = []
    end = 0
    for name, dtype, shape in tensors:
        fields.append(Field(name, dtype, tuple(shape), end))
        end += -(-fields[-1].size // _ALIGNMENT) * _ALIGNMENT
    return fields


def total_size(fields: Sequence[Field]) -> int:
    """Bytes that all fields take together."""
    return max((field.offset + field.size for field in fields), default=0)


class SharedMemory:
    """Tensors by name, in memory that another process sees too."""

    tensors: dict[str, torch.Tensor]

    def describe(self) -> dict[str, Any]:
        """Description for the other process's `attach`, as JSON."""
        raise NotImplementedError

    def descriptor(self) -> int | None:
        """The open file that must be sent along with the description, if there is one."""
        return None

    def hand_over(self) -> None:
        """Mark the work queued so far on the device: it must be done before the other end reads."""

    def take_over(self) -> None:
        """Make work queued from now on wait for work that the other end hands over: for ever, if that dies first."""

    def is_handed_over(self) -> bool:
        """Tell whether the work that the other end has handed over is done."""
        return True


class FileMemory(SharedMemory):
    """On the CPU: an anonymous file, mapped by both."""

    def __init__(self, fields: Sequence[Field], descriptor: int | None = None) -> None:
        """Map a file; make it where none is given."""
        size = max(total_size(fields), 1)
        if descriptor is None:
            descriptor = _anonymous_file()
            os.ftruncate(descriptor, size)
        self._descriptor = descriptor
        self._fields = fields
        self._map = mmap.mmap(descriptor, size)
        self.tensors = {}
        for f in fields:
            count = int(np.prod(f.shape, dtype=np.int64))
            array = np.frombuffer(self._map, dtype=f.dtype, count=count, offset=f.offset)
            self.tensors[f.name] = torch.from_numpy(array.reshape(f.shape))

    def describe(self) -> dict[str, Any]:
        """See `SharedMemory.describe`."""
        return {"kind": "file", "fields": self._fields}

    def descriptor(self) -> int | None:
        """See `SharedMemory.descriptor`."""
        return self._descriptor

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("legged_gym")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class CudaMemory(SharedMemory):
    """On a GPU: one allocation and two events, opened by both through CUDA IPC.

    Each end records its event behind its own work. The worker's next work waits for the trainer's event: the device
    does, the host runs on. In the trainer it is the host that asks for the worker's event: a device that waited for one
    whose recorder has died would wait for ever.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        device: torch.device,
        description: dict[str, Any] | None = None,
    ) -> None:
        """Allocate, or open what a description names."""
        self._device = torch.device("cuda", device.index or 0)
        self._fields = fields
        self._opened = 0
        with torch.cuda.device(self._device):
            torch.zeros(1, device=self._device)  # makes torch's context, which the driver calls then use
            if description is None:
                blocks = total_size(fields) // _BLOCK_BYTES + 1  # whole ones: only they are shared by themselves
                self._pointer = _Driver.allocate(blocks * _BLOCK_BYTES)
                self._mine, self._theirs = self._new_event(), self._new_event()
            else:
                self._pointer = self._opened = _Driver.open(bytes.fromhex(description["handle"]))
                self._theirs, self._mine = (
                    torch.cuda.Event.from_ipc_handle(self._device, bytes.fromhex(text))
                    for text in description["events"]
                )
        self.tensors = {}
        for f in fields:
            array = _DeviceArray(self._pointer + f.offset, f)
            self.tensors[f.name] = torch.as_tensor(array, device=self._device)  # a view
            if description is None:
                self.tensors[f.name].zero_()

    @staticmethod
    def _new_event() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=False, interprocess=True)
        event.record()  # makes it
        return event

    def describe(self) -> dict[str, Any]:
        """See `SharedMemory.describe`."""
        with torch.cuda.device(self._device):
            return {
                "kind": "cuda",
                "device": self._device.index,
                "handle": _Driver.handle(self._pointer).hex(),
                "events": [event.ipc_handle().hex() for event in (self._mine, self._theirs)],
                "fields": self._fields,
            }

    def hand_over(self) -> None:
        """See `SharedMemory.hand_over`."""
        self._mine.record(torch.cuda.current_stream(self._device))

    def take_over(self) -> None:
        """See `SharedMemory.take_over`."""
        torch.cuda.current_stream(self._device).wait_event(self._theirs)

    def is_handed_over(self) -> bool:
        """See `SharedMemory.is_handed_over`."""
        return self._theirs.query()

    def __del__(self) -> None:
        # The owner's memory stays until its process ends: CUDA graphs of the trainer's may still point to it.
        if getattr(self, "_opened", 0):
            torch.cuda.synchronize(self._device)  # the last copies into it
            _Driver.close(self._opened)


class _DeviceArray:
    """Device memory as torch takes it over without a copy."""

    def __init__(self, pointer: int, field: Field) -> None:
        self.__cuda_array_interface__ = {
            "shape": tuple(field.shape),
            "typestr": np.dtype(field.dtype).str,
            "data": (pointer, False),
            "version": 2,
        }


class _Driver:
    """The few calls of CUDA's driver that are needed, on the current context."""

    @classmethod
    def allocate(cls, size: int) -> int:
        pointer = ctypes.c_uint64()
        cls._call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        return int(pointer.value)

    @classmethod
    def handle(cls, pointer: int) -> bytes:
        handle = (ctypes.c_char * _HANDLE_BYTES)()
        cls._call("cuIpcGetMemHandle", ctypes.byref(handle), ctypes.c_uint64(pointer))
        return bytes(handle)

    @classmethod
    def open(cls, handle: bytes) -> int:
        class Handle(ctypes.Structure):  # passed by value, which an array cannot be
            _fields_ = [("reserved", ctypes.c_char * _HANDLE_BYTES)]

        pointer = ctypes.c_uint64()
        cls._call("cuIpcOpenMemHandle_v2", ctypes.byref(pointer), Handle.from_buffer_copy(handle), _LAZY_PEER_ACCESS)
        return int(pointer.value)

    @classmethod
    def close(cls, pointer: int) -> None:
        cls._call("cuIpcCloseMemHandle", ctypes.c_uint64(pointer))

    @staticmethod
    def _call(name: str, *arguments: Any) -> None:
        library = ctypes.CDLL("libcuda.so.1")
        result = getattr(library, name)(*arguments)
        if result != 0:
            text = ctypes.c_char_p()
            library.cuGetErrorName(result, ctypes.byref(text))
            raise RuntimeError("CUDA: {} failed: {}".format(name, (text.value or b"unknown error").decode()))


def attach(description: dict[str, Any], descriptor: Callable[[], int]) -> SharedMemory:
    """Open the memory that another process described.

    Args:
        description: From its `describe`.
        descriptor: Returns the open file that it sent along; called if there is one.
    """
    fields = [Field(*field) for field in description["fields"]]
    if description["kind"] == "cuda":
        return CudaMemory(fields, torch.device("cuda", description["device"]), description)
    return FileMemory(fields, descriptor())


def create(fields: Sequence[Field], device: torch.device) -> SharedMemory:
    """Make memory for fields on a device."""
    return CudaMemory(fields, device) if device.type == "cuda" else FileMemory(fields)
