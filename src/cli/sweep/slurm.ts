/** The runs of a sweep as tasks of a job array of Slurm. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { systemCode } from '../../disk/file-system.ts'
import { digestOf } from '../../ir/digest.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { isRecord } from '../../ir/record.ts'
import { writeFileWhole } from '../write-file.ts'
import { encoded, parsed, type PassedOn, sweepFolder, trainArguments } from './folder.ts'
import type { Gathered } from './gather.ts'
import { mainProgram, quoted } from './run-locally.ts'

/** A job array that was handed to Slurm. */
interface Submission {
  /** The name of the job, which no other has. */
  readonly job: string
  /** The runs, by the number of their task. */
  readonly runs: ReadonlyArray<string>
}

/** A run in Slurm's queue. */
export interface Queued {
  readonly job: string
  /** Such as PENDING and RUNNING. */
  readonly state: string
}

/** What was handed to Slurm so far, in the order of time. */
const submissionsIn = (folder: string): ReadonlyArray<Submission> => {
  const { slurm } = sweepFolder(folder)
  return namesIn(slurm)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .flatMap((name): ReadonlyArray<Submission> => {
      const found = parsed(readFileSync(join(slurm, name), 'utf8'))
      if (!isRecord(found) || typeof found['job'] !== 'string' || !Array.isArray(found['runs'])) return []
      return [{ job: found['job'], runs: found['runs'].map(String) }]
    })
}

const namesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch (thrown) {
    if (systemCode(thrown) !== 'ENOENT') throw thrown
    return []
  }
}

/** Whether anything of a sweep was ever handed to Slurm. */
export const isInSlurm = (folder: string): boolean => submissionsIn(folder).length > 0

/** Where the last task for a run writes what it says; undefined where there never was one. */
export const slurmLog = (folder: string, name: string): string | undefined => {
  const last = submissionsIn(folder).findLast(({ runs }) => runs.includes(name))
  return last === undefined ? undefined : logOf(folder, last.job, String(last.runs.indexOf(name)))
}

const logOf = (folder: string, job: string, task: string): string =>
  join(sweepFolder(folder).logs, `${job}_${task}.log`)

/** Runs a program of Slurm; gives what it printed. Errors: it is not there, or says no. */
const ask = (program: string, args: ReadonlyArray<string>): E.Either<Failure, string> => {
  const { error, status, stdout, stderr } = spawnSync(program, [...args], { encoding: 'utf8' })
  if (error !== undefined) {
    const help = 'Call it on a machine of the cluster, or leave --slurm out to train here.'
    const found = systemCode(error) === 'ENOENT' ? 'no such program' : error.message
    return E.left(failure('UsageError', '--slurm', `the program ${program} of Slurm`, found, help))
  }
  if (status === 0) return E.right(stdout)
  const said = stderr.trim().split('\n').slice(-3).join(' ')
  const help = 'See what Slurm says; --slurm-options gives it options.'
  return E.left(failure('UsageError', '--slurm', `${program} to do as it is told`, said || `exit code ${status}`, help))
}

/** The runs of a sweep that are in Slurm's queue, waiting or running. */
export const queuedIn = (folder: string): E.Either<Failure, ReadonlyMap<string, Queued>> => {
  const submissions = submissionsIn(folder)
  const queued = new Map<string, Queued>()
  if (submissions.length === 0) return E.right(queued)
  const names = submissions.map(({ job }) => job).join(',')
  const listed = ask('squeue', ['--noheader', '--array', `--name=${names}`, '--format=%j %K %T'])
  if (E.isLeft(listed)) return listed
  const byJob = new Map(submissions.map(({ job, runs }) => [job, runs]))
  for (const line of listed.right.trim().split('\n')) {
    const [job = '', task = '', state = ''] = line.trim().split(/\s+/)
    const name = byJob.get(job)?.[Number(task)]
    if (name !== undefined) queued.set(name, { job, state })
  }
  return E.right(queued)
}

/** Options of sbatch as a shell would take them apart. Errors: a quotation mark without another. */
export const splitOptions = (text: string): E.Either<Failure, ReadonlyArray<string>> => {
  const words: string[] = []
  let rest = text.trim()
  while (rest !== '') {
    const [word] = /^(?:[^\s"']|"[^"]*"|'[^']*')+/.exec(rest) ?? []
    if (word === undefined) {
      const help = 'Close the quotation, or leave it out.'
      return E.left(
        failure('UsageError', '--slurm-options', 'options of sbatch', `a lone quotation mark: ${rest}`, help),
      )
    }
    words.push(word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'))
    rest = rest.slice(word.length).trimStart()
  }
  return E.right(words)
}

export interface SlurmSweep {
  readonly folder: string
  readonly waiting: ReadonlyArray<Gathered>
  /** Runs at a time; undefined: as many as Slurm gives room to. */
  readonly jobs: number | undefined
  readonly passedOn: PassedOn
  /** For sbatch. */
  readonly options: ReadonlyArray<string>
}

/** What a task does: goes on with its run, in the place of the shell, so that signals of Slurm reach it. */
const scriptOf = ({ folder, waiting, passedOn }: SlurmSweep): string => {
  const tasks = waiting.map(({ run }, at) => {
    const command = [process.execPath, mainProgram, ...trainArguments(folder, run, passedOn)]
    return `${at}) set -- ${command.map(quoted).join(' ')} ;;`
  })
  return ['#!/bin/sh', 'case "$SLURM_ARRAY_TASK_ID" in', ...tasks, 'esac', `echo '$' "$@"`, 'exec "$@"', ''].join('\n')
}

/**
 * Hands runs to Slurm as a job array; gives the number of the job. What is handed over is written down before, under a name that
 * the job will have, so that no run is handed over twice if this process is killed meanwhile.
 */
export const submit = async (sweep: SlurmSweep): Promise<E.Either<Failure, string>> => {
  const { folder, waiting, jobs, options } = sweep
  const places = sweepFolder(folder)
  const made = submissionsIn(folder).length
  const id = digestOf(new TextEncoder().encode(`${resolve(folder)} ${Date.now()} ${process.pid}`)).slice(0, 8)
  const job = `chasec-${String(made + 1).padStart(4, '0')}-${id}`
  const submission: Submission = { job, runs: waiting.map(({ run }) => run.name) }
  const script = join(places.slurm, `${job}.sh`)
  const written = await writeFileWhole(script, [new TextEncoder().encode(scriptOf(sweep))], {})
  if (E.isLeft(written)) return written
  const noted = await writeFileWhole(join(places.slurm, `${job}.json`), [encoded(submission)], {})
  if (E.isLeft(noted)) return noted
  const atMost = jobs === undefined ? '' : `%${jobs}`
  const answer = ask('sbatch', [
    '--parsable',
    '--requeue',
    '--open-mode=append',
    ...options,
    `--job-name=${job}`,
    `--array=0-${waiting.length - 1}${atMost}`,
    `--output=${logOf(folder, job, '%a').replace(places.logs, places.logs.replaceAll('%', '%%'))}`,
    script,
  ])
  return E.map((text: string) => text.trim().split(';')[0] ?? '')(answer)
}
