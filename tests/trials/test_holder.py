from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

from nas.trials.holder import Holder, began


def test_this_process_is_here_and_is_told_from_another_holder_in_it() -> None:
    one, two = Holder.own(), Holder.own()
    assert not one.is_gone() and one != two and Holder.parse(str(one)) == one
    assert one.process == os.getpid()


def test_a_process_that_ended_is_gone_before_and_after_somebody_looked() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = replace(Holder.own(), process=process.pid, began=began(process.pid))
    assert not holder.is_gone()
    process.kill()
    while began(process.pid) != "gone":  # it waits for its parent
        time.sleep(0.01)
    assert holder.is_gone()
    process.communicate()
    assert holder.is_gone()


def test_another_process_of_the_same_number_is_not_the_holder() -> None:
    assert replace(Holder.own(), began="1").is_gone()


def test_of_another_machine_nobody_can_tell() -> None:
    assert not replace(Holder.own(), machine="elsewhere/-/-", process=2**22 + 1).is_gone()
