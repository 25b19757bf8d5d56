/** The style of reports and of the page: light and dark, for screens of any width and for print, no fonts or images from elsewhere. */
export const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2126; --soft: #56606a; --paper: #ffffff; --panel: #f3f5f7; --line: #d9dfe4; --before: #bcc6d0; --after: #1f6fc4; --alone: #c2610c; --good: #14683c; --doubt: #835a00; --bad: #b3261e; --good-paper: #e8f5ee; --doubt-paper: #fdf3dc; --bad-paper: #fdeceb; --link: #0b5cad; --look0: #1f6fc4; --look1: #c2610c; --look2: #14683c; --look3: #8a3ffc; --look4: #b3261e; --look5: #00798c; --look6: #7a5c00; --look7: #5c6670 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaee; --soft: #a3adb7; --paper: #14181c; --panel: #1d2329; --line: #333b43; --before: #4d5863; --after: #58a6ff; --alone: #f0a04b; --good: #5bd197; --doubt: #e5b95c; --bad: #ff8a82; --good-paper: #14291f; --doubt-paper: #2b2413; --bad-paper: #331a19; --link: #7cb8ff; --look0: #58a6ff; --look1: #f0a04b; --look2: #5bd197; --look3: #be95ff; --look4: #ff8a82; --look5: #3fc6d8; --look6: #d9b84a; --look7: #a3adb7 } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', sans-serif; overflow-wrap: break-word }
main { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2rem) 4rem; max-width: 70rem }
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { margin: 2.8rem 0 .7rem; font-size: 1.15rem } h3 { margin: 1.4rem 0 .4rem; font-size: 1rem }
p { margin: .4rem 0; max-width: 52rem } .soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
a { color: var(--link) }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere }
pre { overflow-x: auto; font-size: .85em }
button, select, input { font: inherit; color: inherit }
:focus-visible { outline: 3px solid var(--after); outline-offset: 2px; border-radius: .25rem }
.verdict { padding: .9rem 1.2rem; border-left: .35rem solid; border-radius: .4rem }
.verdict p { max-width: 60rem } .verdict .happened { font-size: 1.2rem; line-height: 1.4; font-weight: 600 }
.verdict.good { border-color: var(--good); background: var(--good-paper); color: inherit } .verdict.doubt { border-color: var(--doubt); background: var(--doubt-paper) } .verdict.plain { border-color: var(--after); background: var(--panel) } .verdict.bad { border-color: var(--bad); background: var(--bad-paper); color: inherit }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0 }
.card { padding: .7rem 1rem; background: var(--panel); border-radius: .5rem } .card dt { color: var(--soft) } .card dd { margin: 0 }
.card b { display: block; font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums }
.facts { margin: .4rem 0 } .facts > div { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr; gap: 0 1rem; padding: .3rem 0; border-bottom: 1px solid var(--line) }
.facts dt { color: var(--soft) } .facts dd { margin: 0; overflow-wrap: anywhere }
figure { margin: .6rem 0 }
.key { display: flex; flex-wrap: wrap; gap: 0 1.1rem } .key i { display: inline-block; width: 1.2rem; height: .5rem; margin: 0 .4rem 1px 0; border-radius: 2px }
i.before { background: var(--before) } i.after { background: var(--after) } i.alone { background: var(--alone) } .key i[class^=shade] { background: var(--after) }
.plot { display: grid; grid-template-columns: 3.2rem 1fr; margin-top: .8rem } .plot svg { display: block; width: 100%; height: 15rem; overflow: visible }
.axis { position: relative; color: var(--soft); font-size: .8rem } .axis span { position: absolute; right: .5rem; transform: translateY(-50%); white-space: nowrap }
svg .grid { stroke: var(--line); vector-effect: non-scaling-stroke } svg .edge { stroke: var(--paper); stroke-width: 2; vector-effect: non-scaling-stroke }
.widths path.before { fill: var(--before) } .widths path.after { fill: var(--after) } .widths path.alone { fill: none; stroke: var(--alone); stroke-width: 2; vector-effect: non-scaling-stroke }
.widths .hit { fill: transparent } .widths .hit:hover { fill: var(--ink); fill-opacity: .14 }
.stages { display: grid; grid-template-columns: 3.2rem 1fr; margin-top: .35rem; font-size: .8rem; line-height: 1.35 } .stages > span { padding: calc(3px + 1.35em) .5rem 0 0; text-align: right; color: var(--soft) } .stages ol { display: flex; min-width: 0; margin: 0; padding: 0; list-style: none }
.stages li { flex-basis: 0; min-width: 0; padding: 0 .15rem; border-top: 3px solid var(--line); border-right: 2px solid var(--paper); text-align: center }
.stages b, .stages li span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap } .stages li span { color: var(--soft) }
.stages .tall { display: flex; justify-content: center } .stages .tall b { flex: none; align-self: start; max-height: 9rem; writing-mode: vertical-rl; line-height: 1 } .stages .tall span { display: none }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: .4rem 2rem } .chart { margin: .8rem 0 } .chart .plot svg { height: 11rem }
.chart .key { display: flex; flex-wrap: wrap; gap: 0 1.1rem; margin: 0; padding: 0; list-style: none } .chart .key svg { display: inline-block; width: 1.5rem; height: .5rem; margin-right: .35rem } .chart .key .value { color: var(--ink); font-variant-numeric: tabular-nums }
.chart .scale { position: relative; grid-column: 2; height: 2.7rem; padding-top: .15rem; font-size: .8rem } .chart .scale span { position: absolute; transform: translateX(-50%) } .scale b { position: absolute; top: 1.35rem; left: 50%; transform: translateX(-50%); font-weight: 400 }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke } .dots { fill: none; stroke-width: 6; stroke-linecap: round; vector-effect: non-scaling-stroke } .mark { stroke: var(--soft); stroke-dasharray: 2 3; vector-effect: non-scaling-stroke }
.points { position: relative } .points i { position: absolute; transform: translate(-50%, -50%); min-width: 1.15rem; border: 1px solid var(--soft); border-radius: 1rem; background: var(--paper); font-size: .7rem; font-style: normal; line-height: 1.05rem; text-align: center } .points .unbeaten { border-color: var(--look0); background: var(--look0); color: var(--paper) } .scatter .scale span, .scatter .scale b { white-space: nowrap } .scatter ol { margin: .4rem 0; padding-left: 4.4rem; font-size: .85rem }
.look0 { stroke: var(--look0) } .look1 { stroke: var(--look1) } .look2 { stroke: var(--look2) } .look3 { stroke: var(--look3) } .look4 { stroke: var(--look4) } .look5 { stroke: var(--look5) } .look6 { stroke: var(--look6) } .look7 { stroke: var(--look7) } .curve.look1 { stroke-dasharray: 7 3 } .curve.look2 { stroke-dasharray: 2 3 } .curve.look3 { stroke-dasharray: 9 3 2 3 } .curve.look5 { stroke-dasharray: 7 3 } .curve.look6 { stroke-dasharray: 2 3 } .curve.look7 { stroke-dasharray: 9 3 2 3 }
.layermap { margin: 1.4rem 0 } .layermap ol { margin: .5rem 0; padding: 0; list-style: none } .layermap li { display: grid; grid-template-columns: minmax(0, 18rem) 1fr 5.5rem; gap: .8rem; align-items: center } .layermap code { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; overflow-wrap: normal } .layermap li span { text-align: right; font-size: .85rem; font-variant-numeric: tabular-nums; white-space: nowrap }
.layermap svg { display: block; width: 100%; height: 1.05rem; background: var(--panel) } .layermap rect { fill: var(--after) } .layermap .legend { margin-left: 1rem; white-space: nowrap } .legend i { display: inline-block; width: 6rem; height: .7rem; margin: 0 .5rem; background: linear-gradient(to right, var(--panel), var(--after)) }
.speeds .lane { display: grid; grid-template-columns: minmax(0, 22rem) 1fr; gap: .2rem 1rem; align-items: center; margin: .5rem 0 } .speeds .lane b { margin: 0 .5rem; font-variant-numeric: tabular-nums } .speeds .lane .soft { display: block; font-size: .85rem }
.speeds svg { display: block; width: 100%; height: 2.4rem; overflow: visible } .speeds rect.before { fill: var(--before) } .speeds rect.after { fill: var(--after); fill-opacity: .55 }
.speeds .dot { stroke: var(--ink); stroke-width: 5; stroke-linecap: round; vector-effect: non-scaling-stroke; stroke-opacity: .55 } .speeds .median { stroke: var(--ink); stroke-width: 2.5; vector-effect: non-scaling-stroke }
.speeds .scale { position: relative; height: 2.7rem; margin-left: min(23rem, 100%); font-size: .8rem } .speeds .scale span { position: absolute; transform: translateX(-50%); white-space: nowrap } .speeds .scale span:first-child { transform: none } .speeds .scale span:last-of-type { transform: translateX(-100%) }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); gap: .8rem; margin: .8rem 0; padding: 0; list-style: none; font-size: .8rem; line-height: 1.3 }
.maps span { display: block; overflow-wrap: anywhere }
.map { display: block; width: 100%; height: 5rem; margin-bottom: .25rem; background: var(--paper); border: 1px solid var(--line); border-radius: .2rem; shape-rendering: crispEdges }
.map path { fill: var(--after) } .shade1 { opacity: .14 } .shade2 { opacity: .28 } .shade3 { opacity: .43 } .shade4 { opacity: .6 } .shade5 { opacity: .79 }
@media (prefers-color-scheme: dark) { .shade1 { opacity: .26 } .shade2 { opacity: .38 } .shade3 { opacity: .5 } .shade4 { opacity: .64 } .shade5 { opacity: .8 } }
.scroll { overflow-x: auto; margin: .5rem 0 } table { border-collapse: collapse; width: 100% }
th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400 }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom } .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums } tbody th { overflow-wrap: anywhere; min-width: 15rem } .number + :not(.number) { padding-left: .8rem } [aria-label=Runs] tbody th { min-width: 6rem } [aria-label='Settings that differ'] tbody td { overflow-wrap: anywhere; min-width: 6rem } .detail { display: block; font-size: .85rem }
thead button { padding: 0; border: 0; background: none; color: inherit; font: inherit; text-align: inherit; cursor: pointer } thead button::after { content: '\u00a0↕'; opacity: .55 } [aria-sort=ascending] button::after { content: '\u00a0↑'; opacity: 1 } [aria-sort=descending] button::after { content: '\u00a0↓'; opacity: 1 }
.bars { min-width: 9rem; padding-top: .3rem } .bars i { display: block; height: 4px; margin-bottom: 2px; border-radius: 2px; min-width: 2px } .bars .none { min-width: 0 }
summary { cursor: pointer } details ul { margin: .2rem 0 0; padding-left: 1.1rem }
.glossary { margin-top: .8rem; color: var(--soft); font-size: .92rem } .glossary dl { margin: .4rem 0 0; max-width: 52rem } .glossary dl > div { margin-bottom: .35rem } .glossary dt { display: inline; color: var(--ink); font-weight: 600 } .glossary dd { display: inline; margin: 0 0 0 .4rem }
@media (max-width: 44rem) {
  .plot { grid-template-columns: 2.6rem 1fr } .plot svg { height: 11rem } .stages { grid-template-columns: 2.6rem 1fr; font-size: .68rem } .stages .tight { display: flex; justify-content: center } .stages .tight b { flex: none; align-self: start; max-height: 9rem; writing-mode: vertical-rl; line-height: 1 } .stages .tight span { display: none }
  .facts > div { grid-template-columns: 1fr }
  .detail { display: inline }
  .layermap li { grid-template-columns: minmax(0, 9.4rem) 1fr 4.4rem; gap: .4rem } .layermap code { font-size: .72rem } .layermap .legend { display: block; margin: 0 }
  .speeds .lane { grid-template-columns: 1fr } .speeds .scale { margin-left: 0 }
  table, thead, tbody { display: block } thead tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .9rem; padding-bottom: .4rem; border-bottom: 1px solid var(--line) } thead th { padding: 0; border: 0; font-size: .85rem } thead button { padding: .35rem 0 }
  tbody tr { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; padding: .6rem 0; border-bottom: 1px solid var(--line) } thead .number + :not(.number) { padding-left: 0 } tbody th, tbody td, tbody .number + :not(.number) { padding: 0; border: 0; text-align: left; min-width: 0 } tbody .wide, tbody th { flex-basis: 100% } td:empty { display: none }
  .plain .bars, .plain .more { display: none }
  tbody td::before { content: attr(data-label) ' '; color: var(--soft); font-size: .85rem } td.number { white-space: normal; text-align: left }
}
@media (prefers-reduced-motion: no-preference) { .bars i, .widths path { transition: all .15s } }
@media print { .glossary, thead button::after { display: none } section { break-inside: avoid-page } }
`.trim()
