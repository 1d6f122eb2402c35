"""The style sheet of reports: one page, readable on a screen and on paper, without anything from outside."""

STYLE = """
:root { color-scheme: light; --ink: #1f2933; --muted: #697586; --line: #e3e7ec; --accent: #0b6e99 }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink);
  background: #fff; max-width: 1180px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 1.2rem } h2 { font-size: 1.25rem; margin: 0 0 .3rem }
.kicker { color: var(--accent); font-weight: 600; letter-spacing: .04em; margin: 0 }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden }
.facts div { background: #fff; padding: .8rem 1rem } .facts b { display: block; font-size: 1.45rem; line-height: 1.25 }
.facts span, .caption, .run { color: var(--muted); font-size: .86rem }
.run { margin: .7rem 0 0; overflow-wrap: anywhere }
section { margin-top: 2.8rem } .caption { margin: 0 0 .9rem; max-width: 46rem }
figure { margin: 0 } figure svg { width: 100%; height: auto; display: block }
.scroll { overflow-x: auto; margin-bottom: 1.2rem }
table { border-collapse: collapse; font-size: .82rem; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .36rem; border-bottom: 1px solid var(--line); white-space: nowrap }
thead th { color: var(--muted); font-weight: 600; border-bottom-width: 2px; white-space: normal;
  vertical-align: bottom }
tbody th { font-weight: 600 }
.n { text-align: right } .best { font-weight: 700; color: var(--accent) }
pre { background: #f5f7f9; border-radius: 8px; padding: .9rem 1.1rem; overflow-x: auto; font-size: .86rem }
code { font-size: .84rem; overflow-wrap: anywhere }
@media print { body { padding: 0; max-width: none } section { break-inside: avoid } }
"""
