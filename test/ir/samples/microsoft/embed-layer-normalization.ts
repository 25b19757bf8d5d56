import { constant, input, sample, type Operand } from '../../helpers.ts'

/** Numbers from 0 to `last` for two rows of three places. */
const ids = (last: number): Operand => input([2, 3], { dtype: 'int32', range: [0, last] })

const tables = [constant([6, 4]), constant([7, 4])]

export default [
  sample('all of it', [ids(5), ids(2), ...tables, constant([2, 4]), constant([4]), constant([4]), undefined, ids(6)], {
    outputs: 2,
  }),
  sample('counted', [ids(5), ids(2), ...tables, constant([2, 4]), constant([4]), constant([4]), ids(1)], {
    outputs: 3,
  }),
  sample('places in order', [ids(5), undefined, ...tables, undefined, constant([4]), constant([4])], { outputs: 2 }),
]
