/** The list of operators, `OPERATORS.md`: which channels go through, which are opaque and why. */
import { readFileSync } from 'node:fs'
import { allOps, type AnyOp } from '../../src/ir/registry.ts'
import { bodies, domains, opaque, opaqueOfMicrosoft, stops } from './reasons.ts'

interface Schemas {
  readonly onnx: string
  readonly opset: number
  readonly onnxruntime: string
  readonly domains: Readonly<Record<string, ReadonlyArray<string>>>
}

const schemas: Schemas = JSON.parse(readFileSync(new URL('schemas.json', import.meta.url), 'utf8'))

const microsoft = 'com.microsoft'

/** The registry's operators by their names in a domain. */
const registered = (domain: string): ReadonlyMap<string, AnyOp> => {
  const prefix = domain === 'ai.onnx' ? '' : `${domain}.`
  const own = allOps.filter(({ name }) => (prefix === '' ? !name.includes('.') : name.startsWith(prefix)))
  return new Map(own.map((op) => [op.name.slice(prefix.length), op]))
}

type Group = 'followed' | 'taken apart' | 'stops' | 'bodies' | 'opaque'

export interface Listed {
  readonly name: string
  readonly group: Group
  /** Versions of the domain that are known. */
  readonly versions: readonly [first: number, last: number] | undefined
  readonly reason: string | undefined
}

const groupOf = (op: AnyOp): Group =>
  op.links !== 'opaque' ? 'followed' : op.simplify === undefined || op.evaluate === undefined ? 'stops' : 'taken apart'

const reasonsOf = (table: typeof opaque): ReadonlyMap<string, string> =>
  new Map(table.flatMap(([reason, names]) => names.map((name): readonly [string, string] => [name, reason])))

/** Every operator of a domain, of ours those too that ONNX does not list (`SimplifiedLayerNormalization`). */
export const listed = (domain: string): ReadonlyArray<Listed> => {
  const known = registered(domain)
  const names = new Set([...(schemas.domains[domain] ?? []), ...known.keys()])
  names.delete('Opaque')
  const [stop, body, closed] = [stops, bodies, domain === microsoft ? opaqueOfMicrosoft : opaque].map(reasonsOf)
  return [...names].sort().map((name) => {
    const op = known.get(name)
    if (op !== undefined) {
      const group = groupOf(op)
      return { name, group, versions: op.versions, reason: group === 'stops' ? stop?.get(name) : undefined }
    }
    const inside = domain === 'ai.onnx' ? body?.get(name) : undefined
    if (inside !== undefined) return { name, group: 'bodies', versions: undefined, reason: inside }
    return { name, group: 'opaque', versions: undefined, reason: closed?.get(name) ?? domains.get(domain) }
  })
}

/** Operators that have a reason to stop elimination and do not, or that nobody knows. */
export const needless = (): ReadonlyArray<string> => {
  const given = (tables: typeof opaque, ...within: ReadonlyArray<string>): ReadonlyArray<string> => {
    const wanted = new Set(
      within.flatMap((domain) => listed(domain).flatMap((o) => (o.reason === undefined ? [] : [o.name]))),
    )
    return tables.flatMap(([, names]) => names.filter((name) => !wanted.has(name)))
  }
  return [
    ...given(stops, 'ai.onnx', microsoft),
    ...given([...bodies, ...opaque], 'ai.onnx'),
    ...given(opaqueOfMicrosoft, microsoft).map((name) => `${microsoft}.${name}`),
  ]
}

/** The name, and the versions where not all of the last ones are known. */
const shown = ({ name, versions }: Listed): string =>
  versions === undefined || versions[1] === Infinity || versions[0] === versions[1]
    ? name
    : `${name} (to ${versions[1]})`

const inReasons = (operators: ReadonlyArray<Listed>): ReadonlyArray<string> => {
  const by = new Map<string, string[]>()
  for (const one of operators) {
    const reason = one.reason ?? 'no reason given'
    by.set(reason, [...(by.get(reason) ?? []), shown(one)])
  }
  return [
    '| operators | why |',
    '| --- | --- |',
    ...[...by].map(([reason, names]) => `| ${names.join(', ')} | ${reason} |`),
  ]
}

const section = (domain: string): ReadonlyArray<string> => {
  const all = listed(domain)
  const of = (group: Group): ReadonlyArray<Listed> => all.filter((one) => one.group === group)
  const names = (group: Group): string => of(group).map(shown).join(', ')
  const lines = [
    `## ${domain}`,
    '',
    `${of('followed').length} are followed, ${of('taken apart').length} taken apart, at ${of('stops').length} channels stay, of ${of('bodies').length} the bodies are compiled, ${of('opaque').length} are opaque.`,
    '',
    `**Followed**: ${names('followed')}.`,
  ]
  if (of('taken apart').length > 0)
    lines.push('', `**Taken apart** into operators that are followed: ${names('taken apart')}.`)
  for (const [group, title] of [
    ['stops', 'Read, but channels stay'],
    ['bodies', 'With bodies'],
    ['opaque', 'Opaque'],
  ] as const)
    if (of(group).length > 0) lines.push('', `**${title}**`, '', ...inReasons(of(group)))
  return lines
}

/** `OPERATORS.md`, before it is formatted. */
export const operatorsPage = (): string => {
  const others = Object.entries(schemas.domains).filter(([domain]) => domains.has(domain))
  return [
    '# Operators',
    '',
    '<!-- Written by `npm run operators`; test/operators/operators.test.ts holds it to the registry. -->',
    '',
    `Against ONNX ${schemas.onnx} (opset ${schemas.opset}) and ONNX Runtime ${schemas.onnxruntime}. Channels go through an operator that is _followed_, where its`,
    'attributes and shapes allow it. What is _opaque_ is kept byte for byte, and nothing that it touches changes; any model with it',
    'compiles all the same. Versions of an operator that are not known are opaque too.',
    '',
    ...section('ai.onnx'),
    '',
    ...section(microsoft),
    '',
    '## Other domains',
    '',
    '| domain | operators | why opaque |',
    '| --- | --- | --- |',
    ...others.map(([domain, names]) => `| ${domain} | ${names.join(', ')} | ${domains.get(domain) ?? ''} |`),
    '| of your own | all that no local function of the model defines | what they compute is not known |',
    '',
  ].join('\n')
}
