import { constant, input, sample } from '../../helpers.ts'

export default [sample('without a bias', [input([2, 3])]), sample('with a bias', [input([2, 3]), constant([3])])]
