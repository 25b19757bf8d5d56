import { createHash } from 'node:crypto'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { renderCompileReport } from '../../src/report/terminal/compile-table.ts'
import { compactReport } from '../../src/report/compile-json.ts'
import { makeManifest, printManifest } from '../../src/report/manifest.ts'
import { renderMeasurements, renderYield, timeShare } from '../../src/report/terminal/measure-table.ts'
import { renderPage } from '../../src/report/report-page.tsx'
import { sortScript, sortScriptDigest } from '../../src/report/view/sort-script.ts'
import { speedSentence } from '../../src/report/speeds.ts'
import { stagesOf } from '../../src/report/view/stages.ts'
import { verdictOf } from '../../src/report/view/verdict.ts'
import type { Measurement } from '../../src/run/measure.ts'
import type { Difference } from '../../src/run/verify.ts'
import type { Results } from '../../src/report/results.ts'
import { judgeByNoise } from '../../src/run/compare.ts'
import { plainStyle, styleFor } from '../../src/report/terminal/style.ts'
import { renderTable } from '../../src/report/terminal/table.ts'
import { recordVerification } from '../../src/report/verification-record.ts'
import { renderDifference, summariseDifference } from '../../src/report/terminal/verify-table.ts'
import { difference, measurements, report } from './fixtures.ts'

const results: Results = {
  version: '1.2.3',
  report,
  model: { name: 'net <1>.onnx', sha256: 'ab'.repeat(32) },
  verification: recordVerification(difference),
}

/** Lines with runs of blanks made one, to compare what stands in a table, not how wide its columns are. */
const lines = (text: string): ReadonlyArray<string> => text.split('\n').map((line) => line.replace(/ +/g, ' ').trim())

describe('a table', () => {
  it('has columns as wide as what a terminal shows of their cells', () => {
    const rows = [
      ['\u001b[33mab\u001b[39m', '', '1'],
      ['重み', '', '→ 10'],
    ]
    const columns = [{ title: 'name' }, { title: 'empty' }, { title: 'n', align: 'right' as const }]
    expect(renderTable(columns, rows, plainStyle)).toBe(
      ['name     n', '\u001b[33mab\u001b[39m       1', '重み  → 10'].join('\n'),
    )
  })

  it('of very many rows is written', () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => [`layer ${i}`, '64 → 40'])
    const written = renderTable([{ title: 'layer' }, { title: 'in' }], rows, plainStyle).split('\n')
    expect(written.length).toBe(100_001)
    expect(written.at(-1)).toBe('layer 99999  64 → 40')
  })
})

describe('the compile report on a terminal', () => {
  const text = renderCompileReport(report, plainStyle)

  it('says which masks take effect nowhere, and what to mask besides', () => {
    expect(text).toContain('The mask of fc.weight takes effect nowhere: it masks <nothing>.')
    expect(text).toContain('mask these 2 channels of stem too: -210 M multiply-accumulates.')
  })

  it('shows totals before and after, and which part of what was possible was reached', () => {
    expect(lines(text)).toEqual(
      expect.arrayContaining([
        'nodes 40 → 31 -23 %',
        'parameters 1.50 M → 700 k -53 %',
        'MACs 4.12 G → 2.02 G -51 %',
        'weight bytes 6.00 MB → 2.80 MB -53 %',
        'If every layer could shrink by itself, 1.70 G MACs would be left; 86.8 % of that reduction was reached.',
        'MACs are counted for N = 2.',
      ]),
    )
  })

  it('claims no more than all of what was possible where layers were joined', () => {
    const joined = { ...report, after: { ...report.after, macs: 1.6e9 } }
    const told = 'If every layer could shrink by itself, 1.70 G MACs would be left; there are 1.60 G, fewer than that,'
    expect(renderCompileReport(joined, plainStyle)).toContain(told)
    expect(renderCompileReport(joined, plainStyle)).not.toContain('of that reduction')
    const exactly = { ...report, after: { ...report.after, macs: report.alone } }
    expect(renderCompileReport(exactly, plainStyle)).toContain('100 % of that reduction was reached.')
  })

  it('shows layers that changed, with channels, MACs and why the rest stays', () => {
    expect(lines(text)).toEqual(
      expect.arrayContaining([
        '/stem/<script>alert("1")</script> 3 8 → 4 3.00 G → 1.50 G 1.20 G 1 width, 1 carrier',
        'gone 8 → 0 8 → 0 1.00 G → 0 0',
        '1 layer unchanged, with no channel to remove.',
        'width 1 channel in 1 layer a width is rounded up to one that the target runs faster',
        'LSTM rnn not one that chasec models',
      ]),
    )
    expect(text).not.toMatch(/^fc/m)
  })

  it('says which layers others compute as well', () => {
    expect(text).not.toContain('Computed by another layer')
    const layers = report.layers.map((layer, i) => (i === 0 ? { ...layer, joined: 'fc' } : layer))
    expect(renderCompileReport({ ...report, layers }, plainStyle)).toMatch(
      /Computed by another layer as well: \S+ by fc\./,
    )
  })

  it('says of which targets the widths were measured on none', () => {
    const meaning = 'a width is rounded up to one that the target runs faster'
    for (const [target, note] of [
      ['cpu', ''],
      ['cuda', ' (not measured)'],
      ['webgpu', ' (not measured)'],
    ] as const) {
      expect(lines(renderCompileReport({ ...report, target }, plainStyle))).toContain(
        `width 1 channel in 1 layer ${meaning}${note}`,
      )
    }
  })

  it('holds no colour codes without colours, and is the same text with them', () => {
    const coloured = renderCompileReport(report, styleFor(true))
    expect(text).not.toMatch('\u001b')
    expect(coloured).toMatch('\u001b')
    expect(lines(stripVTControlCharacters(coloured))).toEqual(lines(text))
  })
})

describe('the compile report as JSON', () => {
  it('has kept indices as ranges, and none where all are kept', () => {
    const [stem, gone, last] = compactReport(report).layers
    expect(stem?.outputs).toEqual({ before: 8, after: 4, kept: '0-2,5' })
    expect(stem?.inputs).toEqual({ before: 3, after: 3 })
    expect(gone?.outputs).toEqual({ before: 8, after: 0, kept: '' })
    expect(last?.outputs).toEqual({ before: 10, after: 10 })
    expect(stem?.stays.map(({ kind, channels }) => [kind, channels])).toEqual([
      ['width', '2'],
      ['carrier', '5'],
    ])
    expect(compactReport(report).reached).toBeCloseTo((4.116 - 2.02) / (4.116 - 1.7), 12)
  })
})

describe('the manifest', () => {
  const files = [{ name: 'model.onnx', bytes: 5, sha256: 'cd'.repeat(32) }]

  it('says what was made from what, and how it was verified, without what differs between machines', () => {
    const manifest: unknown = JSON.parse(printManifest(makeManifest(results, files)))
    expect(manifest).toMatchObject({
      format: 1,
      tool: { name: 'chasec', version: '1.2.3' },
      model: { name: 'net <1>.onnx' },
      masks: null,
      files,
      verification: { equal: true, cases: [{ seed: 1, sizes: { N: 1 } }, { seed: 2 }] },
    })
    expect(JSON.stringify(manifest)).not.toMatch(/maxAbs|relativeError|latency|Date/)
  })
})

const onWebGpu = (measurement: Measurement, speedup: Measurement['speedup']): Measurement => ({
  ...measurement,
  provider: 'webgpu',
  speedup,
})

describe('the page', () => {
  const page = renderPage(results)

  it('needs nothing from elsewhere and runs nothing but its own script', () => {
    const scripts = [...page.matchAll(/<script>([^]*?)<\/script>/g)].map(([, script]) => script)
    expect(scripts).toEqual([sortScript])
    expect(createHash('sha256').update(sortScript).digest('base64')).toBe(sortScriptDigest)
    expect(page).toMatch(`default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${sortScriptDigest}'`)
    const rest = page.replace(sortScript, '')
    expect(rest).not.toMatch(/<link|<img|<iframe|<object|src=|href=|url\(|@import|https?:|\bon\w+=/i)
  })

  it('says where the widths were not measured', () => {
    expect(page).not.toMatch('not measured')
    const elsewhere = renderPage({ ...results, report: { ...report, target: 'cuda' } })
    expect(elsewhere).toMatch('for cuda, whose widths are not measured')
    expect(elsewhere).toMatch('runs faster (not measured)')
  })

  it('escapes names', () => {
    expect(page).toMatch('net &lt;1>.onnx')
    expect(page).toMatch('&lt;script>alert(&quot;1&quot;)&lt;/script>')
    expect(page).toMatch('rounds up to 4 &amp; more')
  })

  it('closes every element it opens', () => {
    const open: string[] = []
    for (const [, end, name, alone] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
      if (name === undefined || alone === '/') continue
      if (end === '') open.push(name)
      else expect(open.pop()).toBe(name)
    }
    expect(open).toEqual([])
  })

  it('draws bars against the largest layer, and widths before, after and alone', () => {
    expect(page).toMatch('<i class="before" style="width:100.00%;"></i>')
    expect(page).toMatch('<i class="after" style="width:50.00%;"></i>')
    expect(page).toMatch('<i class="alone" style="width:40.00%;"></i>')
    expect(page).toMatch('8 before, 4 after, 3 alone')
  })

  it('writes names of stages that do not fit upright instead of cutting them off', () => {
    const [layer] = report.layers
    if (layer === undefined) throw new Error('a layer')
    const names = ['/conv1/Conv', ...Array.from({ length: 50 }, (_, i) => `/layer1/block${i}/Conv`), '/fc/Gemm']
    const deep = { ...report, layers: names.map((name) => ({ ...layer, layer: name })) }
    const written = renderPage({ ...results, report: deep })
    expect(written).toMatch(/<li class="tall tight"[^>]*><b>conv1<\/b><\/li>/)
    expect(written).toMatch(/<li style[^>]*><b>layer1<\/b><span>\u221250\u00a0%<\/span><\/li>/)
  })

  it('shades densities finer where little is left, and names layers by their place', () => {
    const cells = Float64Array.of(0, 0.02, 0.05, 1)
    const picture = { outputs: 2, inputs: 2, density: 0.2675, rows: 2, columns: 2, cells }
    const scope = '/layer1/layer1.0/downsample/downsample.0/Conv'
    const layers = report.layers.map((layer) => (layer.layer === 'fc' ? { ...layer, layer: scope } : layer))
    const written = renderPage({
      ...results,
      report: { ...report, layers },
      pictures: new Map([['fc.weight', picture]]),
    })
    expect([...written.matchAll(/<path class="(shade\d)" d="(M\d \d)/g)].map(([, ...found]) => found)).toEqual([
      ['shade1', 'M1 0'],
      ['shade2', 'M0 1'],
      ['shade6', 'M1 1'],
    ])
    expect(written).toContain('>layer1.<wbr/>0.<wbr/>downsample.<wbr/>0</span>')
  })

  it('reads in light and dark, and tells verification, passes and opaque nodes', () => {
    expect(page).toMatch('prefers-color-scheme: dark')
    expect(page).toMatch('channel-elimination (2)')
    expect(page).not.toMatch('fold-pad')
    expect(page).toMatch('not one that chasec models')
    expect(page).toMatch('it masks &lt;nothing')
    expect(page).toMatch('\u2212210\u00a0M')
  })

  it('begins with what happened and whether to trust it', () => {
    const { tone, happened, trust } = verdictOf('net', results)
    expect(tone).toBe('good')
    expect(happened).toBe(
      'net now needs 51 % fewer multiply-accumulates (4.12 G → 2.02 G) and 53 % fewer parameters (1.50 M → 700 k).',
    )
    expect(trust).toBe(
      'The compiled model computes what the masked model computes: their outputs agree on all 2 inputs tried in onnxruntime-node 1.30.0 on cpu.',
    )
    const text = page.slice(page.indexOf('<h1>')).replaceAll('\u00a0', ' ')
    expect(text.indexOf('51 % fewer')).toBeLessThan(text.indexOf('<h2>'))
    const { verification: _verification, ...unverified } = results
    expect(verdictOf('net', unverified)).toMatchObject({ tone: 'doubt', trust: expect.stringMatching(/^Not verified/) })
    const judged = (change: Partial<Difference>) =>
      verdictOf('net', { ...results, verification: recordVerification({ ...difference, ...change }) })
    expect(judged({ equal: false })).toMatchObject({ tone: 'bad', trust: expect.stringMatching(/Do not use it/) })
    expect(judged({ vacuous: true }).trust).toMatch(/^Verified nothing/)
    expect(judged({ unseen: [{ output: 'z', why: 'saturated' }] })).toMatchObject({
      tone: 'doubt',
      trust: expect.stringMatching(/Not seen: z is saturated/),
    })
    const same = { ...results, report: { ...report, after: report.before } }
    expect(verdictOf('net', same).happened).toMatch(/^Nothing could go from net/)
  })

  it('shows measurements when there are some, and calls a difference inside the noise so', () => {
    expect(page).not.toMatch('Measured speed')
    const measured = renderPage({ ...results, measured: { relativeError: 3.1e-7, speed: measurements } })
    expect(measured).toMatch('Measured speed')
    expect(measured).toMatch('It runs 1.60x as fast as the masked model (quartiles 1.44x to 1.76x).')
    expect(measured).toMatch('the largest difference 3.1e-7.')
    const [first, second] = measurements
    if (first === undefined || second === undefined) throw new Error('two measurements')
    const close = { ...second, speedup: { q1: 0.97, median: 1.02, q3: 1.05 } }
    const onGpu = measurements.map((m) => onWebGpu(m, { q1: 8, median: 9, q3: 10 }))
    const both = renderPage({ ...results, measured: { speed: [...measurements, ...onGpu] } })
    expect(both).toMatch('It runs 1.60x as fast as the masked model')
    expect(both).toMatch('Compiled runs 9.00x as fast as dense')
    // What ran elsewhere is neither compared nor drawn on one scale.
    expect(both).not.toMatch('Dense runs')
    expect([...both.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, title]) => title)).toEqual([
      'onnxruntime-node 1.30.0 on cpu',
      expect.stringMatching(/ on webgpu$/),
    ])
    expect(speedSentence(close, first)).toMatch('neither faster nor slower than dense beyond the noise')
    expect(speedSentence({ ...second, speedup: { q1: 0.8, median: 0.9, q3: 0.95 } }, first)).toMatch('runs slower')
    // Less than what the first one differs from itself by is no difference.
    const noisy = { ...first, noise: { q1: 0.85, median: 1, q3: 1.2 } }
    for (const median of [0.9, 1.15])
      expect(speedSentence({ ...second, speedup: { q1: median, median, q3: median } }, noisy)).toMatch(
        'beyond the noise',
      )
    for (const [median, word] of [
      [0.8, 'slower'],
      [1.25, 'as fast'],
    ] as const)
      expect(speedSentence({ ...second, speedup: { q1: median, median, q3: median } }, noisy)).toMatch(word)
    expect(renderPage({ ...results, measured: { speed: [noisy, second] } })).toMatch(
      'Against itself the first was 0.85x to 1.20x as fast.',
    )
  })
})

describe('stages of a network', () => {
  const stages = (names: ReadonlyArray<string>, width = 8) =>
    stagesOf(names.map((layer) => ({ layer, width }))).map(({ name, first, end }) => [name, first, end])

  it('are what names of layers share', () => {
    const names = ['/conv1/Conv', '/layer1/0/conv1/Conv', '/layer1/0/conv2/Conv', '/layer2/0/conv1/Conv', '/fc/Gemm']
    expect(stages(names)).toEqual([
      ['conv1', 0, 1],
      ['layer1', 1, 3],
      ['layer2', 3, 4],
      ['fc', 4, 5],
    ])
  })

  it('lose what all names begin with', () => {
    const names = ['encoder.0.a', 'encoder.0.b', 'encoder.0.c', 'encoder.1.a', 'encoder.1.b', 'head.a']
    const inModel = names.map((name) => `model.${name}`)
    expect(stages(inModel).map(([name]) => name)).toEqual(['encoder.0', 'encoder.1', 'head'])
  })

  it('are called by the last parts that tell them apart', () => {
    const blocks = ['features.block1.', 'features.block2.'].flatMap((block) => ['a', 'b', 'c'].map((c) => block + c))
    expect(stages(['features.conv0.c', ...blocks, 'classifier.c'])).toEqual([
      ['conv0', 0, 1],
      ['block1', 1, 4],
      ['block2', 4, 7],
      ['classifier', 7, 8],
    ])
    const twice = ['a.left.x', 'a.left.y', 'a.right.x', 'a.right.y', 'b.left.x', 'b.left.y']
    expect(stages(twice).map(([name]) => name)).toEqual(['a.left', 'right', 'b.left'])
  })

  it('are runs of one width where names tell nothing', () => {
    expect(stages(['a', 'b', 'c'])).toEqual([['8 wide', 0, 3]])
    const many = Array.from({ length: 40 }, (_, i) => `node_${i}`)
    expect(stages(many)).toEqual([['8 wide', 0, 40]])
    expect(stages([])).toEqual([])
  })
})

describe('verification on a terminal', () => {
  it('has one row for each output: the worst case', () => {
    expect(lines(renderDifference(difference, plainStyle))).toEqual([
      'output type relative allowed absolute worst at',
      'equal y float32[2,10] 2.0e-6 1.0e-4 6.0e-6 seed 2, N = 2',
    ])
  })

  it('puts a disagreement before a larger agreeing difference', () => {
    const [first, second] = difference.cases
    const [output] = first?.outputs ?? []
    if (first === undefined || second === undefined || output === undefined) throw new Error('no case')
    const off = { ...output, equal: false, relative: 0, nonFinite: 3 }
    const text = renderDifference({ ...difference, cases: [{ ...first, outputs: [off] }, second] }, plainStyle)
    expect(text).toMatch(/different +y .*3 not finite/)
  })

  it('warns where agreement proves nothing', () => {
    expect(summariseDifference(difference, plainStyle)).toMatch(/^verified: 2 cases, onnxruntime-node 1.30.0 on cpu\.$/)
    const unseen = [{ output: 'y', why: 'constant' }] as const
    expect(summariseDifference({ ...difference, vacuous: true, unseen }, plainStyle)).toBe(
      'verified nothing: y is the same for all inputs tried (2 cases, onnxruntime-node 1.30.0 on cpu).',
    )
    expect(summariseDifference({ ...difference, vacuous: true }, plainStyle)).toMatch(/^verified nothing: /)
    expect(summariseDifference({ ...difference, unseen: [{ output: 'z', why: 'saturated' }] }, plainStyle)).toMatch(
      /^verified: .* Not seen: z is saturated, only 0, 1 and -1\.$/,
    )
    expect(summariseDifference({ ...difference, equal: false }, plainStyle)).toMatch(/^different: /)
  })
})

describe('a large difference that counts as equal', () => {
  it('says in which output, where, and why', () => {
    const [first, second] = difference.cases
    const [output] = first?.outputs ?? []
    if (first === undefined || second === undefined || output === undefined) throw new Error('no case')
    const judged = judgeByNoise(
      { ...output, equal: false, relative: 1, maxAbs: 3e-30, maxReference: 3e-30 },
      { ...output, maxAbs: 1e-30 },
      'optimised otherwise',
    )
    const cases = [{ ...first, magnitude: 1e-12, outputs: [judged] }, second]
    const text = summariseDifference({ ...difference, cases, worst: { case: 0, output: judged } }, plainStyle)
    expect(text).toMatch(
      /^verified: max relative error 1\.0e\+0 in y \(seed 1, inputs times 1e-12, N = 1: within 4 times what/,
    )
    expect(text).toMatch('ONNX Runtime differs from itself when optimised otherwise (1.0e-30)), 1 of 2 within 1.0e-4,')
    expect(renderPage({ ...results, verification: recordVerification({ ...difference, cases }) })).toMatch('2 cases')
  })
})

describe('measurements on a terminal', () => {
  it('compares each model with the first', () => {
    expect(lines(renderMeasurements(measurements, plainStyle))).toEqual([
      'model per run quartiles items speed quartiles',
      'dense 40.0 ms 36.0 ms – 44.0 ms 50/s',
      'compiled 25.0 ms 22.5 ms – 27.5 ms 80/s 1.60x 1.44x – 1.76x',
      'onnxruntime-node 1.30.0 on cpu, batch 2, median of 3 interleaved repeats.',
    ])
  })

  it('tells which share of the multiplications saved turned into time', () => {
    expect(timeShare(100, 50, 2)).toBe(1)
    expect(timeShare(100, 50, 1)).toBe(0)
    expect(timeShare(100, 100, 1.1)).toBe(undefined)
    expect(renderYield(report, measurements)).toBe(
      '2.04x fewer multiplications, 1.60x as fast: 73.6 % of the saving turned into time.',
    )
  })
})
