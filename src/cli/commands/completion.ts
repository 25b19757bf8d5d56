import { Argument, Command } from 'commander'
import * as E from 'fp-ts/lib/Either.js'
import { type CommonFlags, jsonOption, quietOption } from '../flags.ts'
import { done } from '../outcome.ts'
import type { RunCommand } from '../run-command.ts'

/** Each asks `chasec complete` what may come, see `complete.ts`; what to do with the answer is the shell's own way. */
const scripts = {
  bash: `# Completion of chasec in bash. In ~/.bashrc: source <(chasec completion bash)
_chasec() {
  local i piece word='' front='' head line tab=$'\\t'
  local -a words=()
  COMPREPLY=()
  # bash takes words apart at : and =, and replaces the last piece alone.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    piece=\${COMP_WORDS[i]}
    if [[ -n $word && ( $piece == [:=] || $word == *[:=] ) ]] &&
      ! [[ -z $piece && \${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]]; then
      front=$word
      word+=$piece
      [[ $piece == [:=] ]] && front=$word
      words[\${#words[@]}-1]=$word
    else
      front=''
      word=$piece
      words+=("$word")
    fi
  done
  while IFS= read -r line; do
    if [[ -z $head ]]; then
      head=$line
      continue
    fi
    line=\${line%%"$tab"*}
    [[ $line == "$word"* ]] || continue
    [[ $line == *: ]] && compopt -o nospace 2> /dev/null
    COMPREPLY+=("\${line#"$front"}")
  done < <("\${COMP_WORDS[0]}" complete "\${words[@]}" 2> /dev/null)
  [[ $head == files* ]] || return 0
  piece=\${word#"\${head#*"$tab"}"}
  # What is quoted or begins with ~ is best left to bash.
  if [[ $piece == *[\\\\\\'\\"\\\`\\$~]* ]]; then
    compopt -o default 2> /dev/null
    return 0
  fi
  compopt -o filenames 2> /dev/null
  while IFS= read -r line; do
    line=\${head#*"$tab"}$line
    COMPREPLY+=("\${line#"$front"}")
  done < <(compgen -f -- "$piece")
}
complete -F _chasec chasec`,
  zsh: `# Completion of chasec in zsh. In ~/.zshrc, behind compinit: source <(chasec completion zsh)
_chasec() {
  local head line word tab=$'\\t'
  local -a lines finished open
  lines=("\${(@f)$("\${words[1]}" complete "\${(@Q)words[2,CURRENT]}" 2> /dev/null)}")
  head=\${lines[1]}
  for line in "\${(@)lines[2,-1]}"; do
    word=\${line%%$tab*}
    if [[ $word == *: ]]; then
      open+=("\${word//:/\\\\:}")
    else
      finished+=("\${word//:/\\\\:}:\${line#*$tab}")
    fi
  done
  (( $#finished )) && _describe chasec finished
  (( $#open )) && _describe chasec open -S ''
  if [[ $head == files* ]]; then
    compset -p \${#head#*$tab}
    _files
  fi
}
compdef _chasec chasec`,
  fish: `# Completion of chasec in fish. In ~/.config/fish/config.fish: chasec completion fish | source
function __chasec_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] complete $words[2..] "$word" 2> /dev/null)
    set -l head (string split \\t -- $lines[1])
    string join -- \\n $lines[2..]
    if test "$head[1]" = files
        set -l front "$head[2]"
        set -l path (string sub --start (math (string length -- "$front") + 1) -- "$word")
        for found in (__fish_complete_path "$path")
            echo -- $front$found
        end
    end
end
complete -c chasec -f -a '(__chasec_complete)'`,
}

const shells = ['bash', 'zsh', 'fish'] as const

const examples = `
Examples:
  $ source <(chasec completion bash)
      In ~/.bashrc; with zsh in place of bash in ~/.zshrc, behind compinit.

  $ chasec completion fish | source
      In ~/.config/fish/config.fish.

Commands, options, the words that options take, and files where files are read are then completed by the tab key.`

export const completionCommand = (run: RunCommand): Command =>
  new Command('completion')
    .description('Prints a script for a shell that completes command lines of chasec.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addOption(jsonOption())
    .addOption(quietOption())
    .addHelpText('after', examples)
    .action((shell: (typeof shells)[number], flags: CommonFlags) =>
      run(flags, () => Promise.resolve(E.right(done(scripts[shell], { shell, script: scripts[shell] })))),
    )
