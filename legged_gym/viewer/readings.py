"""The panel of readings as HTML: numbers, and reward terms as bars."""

from html import escape

from legged_gym.viewer.view import Readings

_GOOD, _BAD, _CLOCK = "#2f9e44", "#e03131", "#1c7ed6"
_ROW = '<div style="display:flex;align-items:center;gap:6px;height:15px">{}</div>'
_NAME = '<span style="width:44%;overflow:hidden;white-space:nowrap;text-overflow:ellipsis" title="{0}">{0}</span>'
_VALUE = '<span style="width:18%;text-align:right;font-variant-numeric:tabular-nums">{}</span>'
_BAR = (
    '<span style="flex:1;position:relative;height:8px;background:#8883">'
    '<span style="position:absolute;left:{:.1f}%;width:{:.1f}%;height:100%;background:{}"></span></span>'
)


def readings_html(said: Readings) -> str:
    """Write all readings; names are escaped."""
    parts = [_motion(said), _clock(said), _rewards(said.rewards)]
    return f'<div style="font-size:12px;padding:0 14px 8px;line-height:1.25">{"".join(parts)}</div>'


def _motion(said: Readings) -> str:
    names = ("v_x [m/s]", "v_y [m/s]", "ω_z [rad/s]")
    rows = zip(names, said.command, said.velocity, strict=True)
    cells = "".join(
        f"<tr><td>{name}</td><td align=right>{asked:+.2f}</td><td align=right>{actual:+.2f}</td></tr>"
        for name, asked, actual in rows
    )
    head = "<tr><th></th><th align=right>command</th><th align=right>actual</th></tr>"
    # The attributes are for programs that read the page.
    data = " ".join(f'data-{name}="{value:.3f}"' for name, value in zip("xyw", said.command, strict=True))
    table = f'<table id="lg-command" {data} style="width:100%;border-spacing:0 1px">{head}{cells}</table>'
    standing = ", asked to stand" if said.standing else ""
    return f"{table}<div>{said.time:.1f} s of the episode, falls: <b>{said.falls}</b>{standing}</div>"


def _clock(said: Readings) -> str:
    clock = min(max(said.clock, 0.0), 1.0)
    feet = "".join(
        f"<span>{side} {'▮' if touches else '▯'}{'' if touches == asked else ' ≠ clock'}</span>"
        for side, touches, asked in zip("LR", said.contact, said.asked_contact, strict=True)
    )
    return _ROW.format(f"{_NAME.format('gait clock')}{_BAR.format(0.0, 100.0 * clock, _CLOCK)}") + _ROW.format(feet)


def _rewards(rewards: dict[str, float]) -> str:
    """One bar for each term, to the right of the middle where it earns, to the left where it costs."""
    largest = max((abs(value) for value in rewards.values()), default=0.0) or 1.0
    rows = []
    for name, value in rewards.items():
        width = 50.0 * min(abs(value) / largest, 1.0)
        bar = _BAR.format(50.0 if value >= 0.0 else 50.0 - width, width, _GOOD if value >= 0.0 else _BAD)
        rows.append(_ROW.format(_NAME.format(escape(name)) + bar + _VALUE.format(f"{value:+.2f}")))
    total = sum(rewards.values())
    title = f'<div style="margin-top:6px"><b>Reward</b> per second, together {total:+.2f}</div>'
    return title + "".join(rows) if rows else ""
