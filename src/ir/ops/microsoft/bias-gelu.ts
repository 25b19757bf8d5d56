import * as E from 'fp-ts/lib/Either.js'
import { composition } from '../../families/composition.ts'
import type { NoAttributes } from '../../families/elementwise.ts'
import { Add } from '../add.ts'
import { Gelu } from './gelu.ts'

/** GELU of `x + bias`. */
export const BiasGelu = composition<'com.microsoft.BiasGelu', NoAttributes>('com.microsoft.BiasGelu', [1, 1], {}, (p) =>
  E.right([p.node(Gelu, [p.node(Add, [p.input(0), p.input(1)])])]),
)
