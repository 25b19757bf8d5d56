/** A Slurm of one node, of this machine's own packages, for tests: its daemons, stopped when the test is over. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'

const programs = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'scancel', 'sinfo']

/** Debian has daemons in folders that not everybody looks into. */
const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`

/** Why no Slurm can be started here; undefined where one can. */
export const whyNoSlurm = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'the daemons of Slurm start tasks only as root'
  const missing = programs.filter((program) => !path.split(':').some((folder) => existsSync(join(folder, program))))
  return missing.length === 0 ? undefined : `Slurm is not installed: ${missing.join(', ')} missing`
}

export interface Slurm {
  /** What its clients need. */
  readonly env: Readonly<Record<string, string>>
  readonly ask: (program: string, ...args: ReadonlyArray<string>) => string
  readonly stop: () => Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })

/** Starts munged, slurmctld and slurmd in a folder of their own, and waits until the node is idle. */
export const startSlurm = async (folder: string): Promise<Slurm> => {
  const at = (name: string): string => join(folder, name)
  for (const name of ['state', 'spool', 'run']) mkdirSync(at(name), { recursive: true })
  writeFileSync(at('munge.key'), randomBytes(1024), { mode: 0o400 })
  const [controller, node] = [await freePort(), await freePort()]
  const host = hostname().split('.')[0] ?? 'localhost'
  const configuration = [
    'ClusterName=chasec',
    `SlurmctldHost=${host}(127.0.0.1)`,
    ...[`SlurmctldPort=${controller}`, `SlurmdPort=${node}`, 'SlurmUser=root', 'SlurmdUser=root'],
    ...['AuthType=auth/munge', `AuthInfo=socket=${at('run/munge')}`, 'CredType=cred/munge'],
    ...[`StateSaveLocation=${at('state')}`, `SlurmdSpoolDir=${at('spool')}`],
    ...[`SlurmctldPidFile=${at('run/ctld.pid')}`, `SlurmdPidFile=${at('run/d.pid')}`],
    ...[`SlurmctldLogFile=${at('ctld.log')}`, `SlurmdLogFile=${at('d.log')}`],
    ...['ProctrackType=proctrack/linuxproc', 'TaskPlugin=task/none', 'MpiDefault=none', 'ReturnToService=2'],
    ...['SelectType=select/cons_tres', 'SelectTypeParameters=CR_Core', 'JobAcctGatherType=jobacct_gather/none'],
    ...['AccountingStorageType=accounting_storage/none', 'SchedulerParameters=sched_interval=1', 'KillWait=1'],
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN`,
    'PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP',
  ]
  writeFileSync(at('slurm.conf'), `${configuration.join('\n')}\n`)
  const env = { PATH: path, SLURM_CONF: at('slurm.conf') }
  const start = (program: string, ...args: ReadonlyArray<string>): ChildProcess =>
    spawn(program, [...args], { env, stdio: 'ignore' })
  const munge = [`--socket=${at('run/munge')}`, `--key-file=${at('munge.key')}`, `--log-file=${at('munge.log')}`]
  const rest = [`--pid-file=${at('run/munge.pid')}`, `--seed-file=${at('run/seed')}`]
  const daemons = [start('munged', '--force', '--foreground', ...munge, ...rest)]
  const ask = (program: string, ...args: ReadonlyArray<string>): string =>
    spawnSync(program, [...args], { env, encoding: 'utf8' }).stdout
  const stop = async (): Promise<void> => {
    ask('scancel', '--user=root', '--full', '--signal=KILL')
    for (const daemon of daemons.toReversed()) {
      const ended = new Promise((resolve) => daemon.once('close', resolve))
      if (daemon.exitCode === null && daemon.kill()) await ended
    }
  }
  for (let waited = 0; !existsSync(at('run/munge')); waited += 100) {
    if (waited > 10_000) throw new Error('munged made no socket')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  daemons.push(start('slurmctld', '-D'), start('slurmd', '-D', '-N', host))
  for (let waited = 0; !ask('sinfo', '--noheader', '--format=%T').includes('idle'); waited += 250) {
    if (waited > 30_000) {
      await stop()
      throw new Error(`the node did not become idle: see ${folder}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  return { env, ask, stop }
}
