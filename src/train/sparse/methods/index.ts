/** The methods that there are; all else that has to know them reads this list. */
import { invariant } from '../../../ir/failure.ts'
import type { Entries } from '../../recipe/reader.ts'
import type { Policy } from '../policy.ts'
import { method as bdwp } from './bdwp.ts'
import { method as chase } from './chase.ts'
import { method as chts } from './chts.ts'
import { method as demp } from './demp.ts'
import { method as dense } from './dense.ts'
import { method as dhspg } from './dhspg.ts'
import { method as dynadiag } from './dynadiag.ts'
import { method as east } from './east.ts'
import type { Length } from './entries.ts'
import { method as globalMagnitude } from './global-magnitude.ts'
import { method as gmp } from './gmp.ts'
import { method as granet } from './granet.ts'
import { method as grasp } from './grasp.ts'
import { method as hesso } from './hesso.ts'
import { method as issP } from './iss-p.ts'
import { method as lotteryJackpots } from './lottery-jackpots.ts'
import { method as maskSparsity } from './mask-sparsity.ts'
import { method as mest } from './mest.ts'
import type { MethodDef } from './method.ts'
import { method as nOfM } from './n-of-m.ts'
import { method as riglItop } from './rigl-itop.ts'
import { method as rigl } from './rigl.ts'
import { method as set } from './set.ts'
import { method as snip } from './snip.ts'
import { method as sSte } from './s-ste.ts'
import { method as srigl } from './srigl.ts'
import { method as srSte } from './sr-ste.ts'
import { method as staticRandom } from './static.ts'
import { method as wgsef } from './wgsef.ts'

export const methods = {
  dense,
  static: staticRandom,
  snip,
  grasp,
  set,
  rigl,
  'rigl-itop': riglItop,
  srigl,
  mest,
  chts,
  east,
  granet,
  gmp,
  'global-magnitude': globalMagnitude,
  'iss-p': issP,
  dhspg,
  'lottery-jackpots': lotteryJackpots,
  dynadiag,
  hesso,
  'mask-sparsity': maskSparsity,
  demp,
  wgsef,
  'n-of-m': nOfM,
  'sr-ste': srSte,
  's-ste': sSte,
  bdwp,
  chase,
}

type Table = typeof methods

export type MethodName = keyof Table

type EntriesOf = { readonly [Name in MethodName]: ReturnType<Table[Name]['read']> }

/** A method and its entries, as plain data. Points in time (`until`, `softUntil`, `at`, ...) are fractions of the whole training. */
export type Method<Name extends MethodName = MethodName> = {
  [N in Name]: { readonly name: N } & EntriesOf[N]
}[Name]

const isMethodName = (key: string): key is MethodName => Object.hasOwn(methods, key)

const [first, ...others] = Object.keys(methods).filter(isMethodName)
invariant(first !== undefined, 'there is a method')

export const methodNames: readonly [MethodName, ...ReadonlyArray<MethodName>] = [first, ...others]

/** The method that `entries` describe, what they leave out as the papers have it. */
export const readMethod = (entries: Entries): Method =>
  methods[entries.choice('name', methodNames, undefined, 'all')].read(entries)

const byName: { readonly [Name in MethodName]: MethodDef<Name, { readonly name: Name } & EntriesOf[Name]> } = methods

/** The policy of a method for a run of that length; dense training is a policy that keeps every weight. */
export const policyOf = <Name extends MethodName>(method: Method<Name>, length: Length): Policy =>
  byName[method.name].policy(method, length)
