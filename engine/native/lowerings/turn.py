"""The end of a weight gradient: the threads' sums added up, filters slowest in memory."""

from __future__ import annotations

from typing import Any

from engine.native.emit import Function, Val, const, f32
from engine.native.products import transpose_block
from engine.native.writer import Writer, touching


def sum_and_turn(w: Writer, parts: Any, out: Any, groups: int, inner: int, filters: int) -> None:
    """``out[group, filter, :] = sum over threads of parts[thread, group, :, filter]``.

    Square blocks are added up in a corner of the thread's own and turned in registers.
    """
    lanes = w.lanes
    size = groups * inner * filters
    room = w.scratch(w.max_threads * lanes * lanes)
    blocks = -(-filters // lanes)
    whole = filters // lanes * lanes
    level = inner // lanes * lanes

    def write(f: Function, thread: Val, count: Val, po: Val, pr: Val, pp: Val) -> None:
        b = f.b
        corner = f.at(pr, (thread, lanes * lanes))

        def added(spot: Val, width: int) -> Val:
            nothing = f32(0.0) if width == 1 else f.splat(f32(0.0), width)
            with f.loop(0, count, carry=[nothing]) as t:
                t.next = [b.fadd(t.carried[0], f.load(f.at(spot, (t.index, size)), width))]
            return t.result[0]

        def single(source: Val, target: Val, o: Val, i: Val) -> None:
            value = added(f.at(source, (i, filters), (o, 1)), 1)
            b.store(value, f.at(target, (o, inner), (i, 1)))

        def block(source: Val, target: Val, o: Val) -> None:
            if level:
                with f.loop(0, level, lanes) as i:
                    with f.loop(0, lanes) as r:
                        line = f.at(source, (i.index, filters), (r.index, filters), (o, 1))
                        f.store(added(line, lanes), f.at(corner, (r.index, lanes)), lanes)
                    spot = f.at(target, (o, inner), (i.index, 1))
                    transpose_block(f, corner, lanes, spot, inner, lanes)
            if level < inner:
                with f.loop(level, inner) as i, f.loop(0, lanes) as c:
                    single(source, target, b.add(o, c.index), i.index)

        first, last = f.share(groups * blocks, thread, count)
        with f.loop(first, last, may_be_empty=True) as number:
            group = b.sdiv(number.index, const(blocks))
            o = b.mul(b.srem(number.index, const(blocks)), const(lanes))
            source = f.at(pp, (group, inner * filters))
            target = f.at(po, (group, inner * filters))
            if whole == filters:
                block(source, target, o)
                return
            with b.if_else(b.icmp_signed("<", o, const(whole))) as (then, otherwise):
                with then:
                    if whole:
                        block(source, target, o)
                with otherwise, f.loop(0, inner) as i, f.loop(whole, filters) as c:
                    single(source, target, c.index, i.index)

    key = ("sum-and-turn", groups, inner, filters)
    w.kernel(key, [out, room, parts], write, touching([out, room], [parts]))
