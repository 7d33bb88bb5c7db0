"""Child: holds the author's callable, set up once, and carries out one order after the other."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import inspect
import io
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from functools import reduce
from types import FrameType

from stages.engine.work.holdings import Holdings
from stages.engine.work.order import Order
from stages.engine.work.outcome import PUBLISHED, Outcome
from stages.engine.work.performance import Function, perform
from stages.engine.work.prctl import die_with_parent
from stages.engine.work.verdict import of_exception
from stages.engine.work.wire import MESSAGE_BYTES_MAX, decode_order, encode_outcome, encode_setup

# A batch system sends these to every process of a job; the poller alone decides what they mean.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_SETUP_FAILED = 78  # EX_CONFIG
_OUTPUTS = (1, 2)


def main() -> None:
    """Set up, say so, then serve until the poller closes the channel; started by `CallableWork` only."""
    channel_fd, output_fd, parent, stage_directory, function_name = sys.argv[2:]
    sys.argv[:] = [stage_directory]
    die_with_parent(int(parent))
    channel = socket.socket(fileno=int(channel_fd))
    channel.set_inheritable(False)
    output = int(output_fd)
    os.set_inheritable(output, False)  # noqa: FBT003 - it takes no keyword
    faulthandler.enable()
    faulthandler.register(signal.SIGQUIT)  # sent at a time-out: the log shows where it hung
    _leave_signals_to_the_poller()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a crash loses no line, a strange file name fails no print
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        function = load(stage_directory, function_name)
    except BaseException as error:  # noqa: BLE001 - whatever the author's code does, the poller is told
        traceback.print_exception(error)
        channel.send(encode_setup(of_exception(error, stage_directory=stage_directory).why))
        sys.exit(_SETUP_FAILED)
    channel.send(encode_setup(None))
    _serve(channel, output, function, stage_directory)


def load(stage_directory: str, function_name: str) -> Function:
    """Import `module:function`, first of all from the stage's folder, and call the module's `setup()` if it has one.

    Raises whatever the author's code does, and TypeError for what can be no stage.
    """
    sys.path.insert(0, stage_directory)
    module_name, _, path = function_name.partition(":")
    module = importlib.import_module(module_name)
    try:
        function: Function = reduce(getattr, path.split("."), module)
    except AttributeError as error:
        raise TypeError(f"no {path!r} in {module.__file__}") from error
    if not callable(function):
        raise TypeError(f"{function_name} is no function")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{function_name} is a coroutine or a generator: calling it would do nothing")
    setup: object = getattr(module, "setup", None)
    if callable(setup):
        setup()
    return function


def _serve(channel: socket.socket, output: int, function: Function, stage_directory: str) -> None:
    between = os.dup(2)  # where output goes that belongs to no attempt
    libc, me = ctypes.CDLL(None), os.getpid()
    holdings = Holdings(restored=_OUTPUTS)
    while True:
        message = channel.recv(MESSAGE_BYTES_MAX)
        if not message:
            return
        _point_output_to(output)
        outcome = _carry_out(function, decode_order(message), stage_directory, me)
        _flush()
        libc.fflush(None)
        _point_output_to(between)
        os.chdir(stage_directory)
        channel.send(encode_outcome(outcome, has_opened=holdings.have_changed()))


def _carry_out(function: Function, order: Order, stage_directory: str, child: int) -> Outcome:
    """Return what became of one order; in a fork of the author's that comes out here, end that instead."""
    outcome, trace = perform(function, order, stage_directory)
    if trace:
        with suppress(Exception):  # the author may have closed or replaced it
            sys.stderr.write(trace)
    if os.getpid() != child:
        _flush()
        os._exit(0 if outcome is PUBLISHED else 1)
    return outcome


def _point_output_to(descriptor: int) -> None:
    for number in _OUTPUTS:
        os.dup2(descriptor, number)


def _flush() -> None:
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            if stream is not None:
                stream.flush()
        except Exception:  # noqa: BLE001, S110 - the author may have closed or replaced it
            pass


def _leave_signals_to_the_poller() -> None:
    """Do nothing at them, and still not hand that down: an author's own process ends at a SIGTERM as ever."""
    for number in _SIGNALS:
        signal.signal(number, _ignore)
    os.register_at_fork(after_in_child=_restore_signals)


def _restore_signals() -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is _ignore:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame
