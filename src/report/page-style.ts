/** The style sheet of report pages: light and dark, printable, no fonts or images from elsewhere. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2126; --soft: #66707a; --paper: #ffffff; --panel: #f4f6f8; --line: #dde2e7; --before: #c3ccd5; --after: #1f77d0; --alone: #d9822b; --good: #1a7f4b; --bad: #c0392b }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #98a3ae; --paper: #14181c; --panel: #1d2329; --line: #303840; --before: #4a5560; --after: #58a6ff; --alone: #f0a04b; --good: #4cc38a; --bad: #ff7b72 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.6rem } h2 { margin: 2.5rem 0 .6rem; font-size: 1.1rem }
p { margin: .3rem 0 } .soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.5rem 0 }
.card { padding: .8rem 1rem; background: var(--panel); border-radius: .5rem }
.card b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { color: var(--soft); font-weight: 600; white-space: nowrap }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.bars { min-width: 11rem; padding-top: .2rem } .bars i { display: block; height: 5px; margin-bottom: 2px; border-radius: 2px; min-width: 1px }
.before { background: var(--before) } .after { background: var(--after) } .alone { background: var(--alone) }
.key i { display: inline-block; width: 1.4rem; height: 6px; margin: 0 .3rem 1px .9rem; border-radius: 2px }
svg { width: 100%; height: auto; margin: .4rem 0 } polyline { fill: none; stroke-width: 2 } polyline.before { stroke: var(--before) } polyline.after { stroke: var(--after) } polyline.alone { stroke: var(--alone) }
svg line { stroke: var(--line) } pre { overflow-x: auto; font-size: .85em }
summary { cursor: pointer; white-space: nowrap } details ul { margin: .2rem 0 0; padding-left: 1.1rem }
`.trim()
