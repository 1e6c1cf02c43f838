"""The command line, called as a user calls it."""

from click.testing import CliRunner, Result

from pipeline.cli.group import main


def run(*arguments: object) -> Result:
    """Returns what a command ended with; raises what it should have told instead."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="metaprior")
    if done.exc_info and done.exit_code == 1:
        raise done.exc_info[1]
    return done


def refusal(*arguments: object) -> str:
    """Returns the message of a command that refuses what it is given, and says nothing else."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    [line] = done.stderr.splitlines()
    return line.removeprefix("metaprior: ")
