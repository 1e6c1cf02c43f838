"""The catalogue as people see it: tables and pages on a terminal, and the pages in docs/models."""

import io
import json
import re
import shlex
from pathlib import Path

import pyparsing as pp
import pytest
from click.testing import CliRunner
from rich.console import Console

from models import recipes
from models.recipes import needs
from pipeline import catalogue, loading, pages
from pipeline.cli.group import main

DOCS = Path(__file__).parent.parent / "docs" / "models"
RECORDS = recipes.catalogue()
WORKING = [record for record in RECORDS if record.status == "works"]
COMMANDS = {record.name: catalogue.command(record) for record in WORKING}


def invoke(*arguments: str):
    return CliRunner().invoke(main, list(arguments), prog_name="metaprior")


def printed(show, what, width: int) -> list[str]:
    """The lines that a person sees on a terminal of this width."""
    console = Console(width=width, record=True, file=io.StringIO())
    show(what, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


def words(text: str) -> str:
    return " ".join(text.split())


# On a terminal.


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_tables_fit_the_terminal_and_leave_nothing_out(width):
    lines = printed(catalogue.show_all, RECORDS, width)
    assert max(len(line) for line in lines) <= width
    assert not any("…" in line for line in lines)
    rows = [line.split()[0] for line in lines if re.match(r"  \w", line)]
    assert rows == [record.name for record in RECORDS]
    assert [line for line in lines if line in list(recipes.Family)] == list(recipes.Family)


@pytest.mark.parametrize("width", [80, 100])
def test_the_penalties_stand_below_the_model_where_there_is_no_room_beside_it(width):
    text = words(" ".join(printed(catalogue.show_all, RECORDS, width)))
    for record in RECORDS:
        assert all(words(penalty) in text for penalty in catalogue.penalties(record))


def test_a_line_of_the_table_has_the_columns_of_the_survey():
    wide = printed(catalogue.show_all, RECORDS, 160)
    row = "  beta_vae             disentanglement              REG                     Higgins et al. 2017       "
    assert row + "R1 = (beta - 1) * KL(q(z|x) || p(z))" in wide
    narrow = printed(catalogue.show_all, RECORDS, 80)
    assert "  dsae *               static and        PRI+FAC               Li 2018" in narrow
    assert "  hsic_vae             disentanglement,  REG      (sensitive)  Lopez 2018" in narrow
    assert narrow[-4].startswith("how: REG regularized posterior, FAC factorized encoder or decoder, PRI prior")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_every_model_is_told_whole_at_every_width(width):
    for record in RECORDS:
        _is_told_whole(record, width)


def _is_told_whole(record, width: int) -> None:
    lines = printed(catalogue.show_one, record, width)
    text = words(" ".join(lines))
    assert not any("…" in line for line in lines)
    told = (record.title, record.objective, record.metaprior, record.use, record.limits, record.note, record.reference)
    assert all(words(part) in text for part in told)
    for parameter in record.parameters:
        assert f"{parameter.name} = {catalogue.value(parameter.default)} {parameter.type}" in text
        assert words(parameter.meaning) in text


def test_models_shows_one_with_its_parameters():
    lines = invoke("models", "dc-ign").output.splitlines()
    assert lines[0] == "dc_ign: DC-IGN, works"
    assert "needs        ground-truth factors (which of them varies, not their values)" in map(str.rstrip, lines)
    assert "  extrinsic = []  list of names" in map(str.rstrip, lines)
    assert lines[-1] == "metaprior run --data PATH --set 'data.factors=[COLUMN_1, COLUMN_2]' --model dc_ign"
    assert "A schedule is a mapping" not in "\n".join(lines)
    assert "It has no parameters of its own." in invoke("models", "vae").output
    assert "A schedule is a mapping, such as {schedule: linear, start: 0" in invoke("models", "beta_vae").output


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vae", "nothing beside x"),
        ("hsic_vae", "nothing beside x; can use a sensitive attribute"),
        ("vfae", "a sensitive attribute; can use a label"),
        ("vib", "a label"),
        ("m2", "a label (few)"),
    ],
)
def test_what_a_model_needs_is_told_apart_from_what_it_can_use(name, text):
    assert catalogue.needs(recipes.find(name)) == text


def test_distortion_and_rate_are_explained_where_the_objective_speaks_of_them():
    assert catalogue.symbols(recipes.find("factor_vae")).startswith("D is the distortion")
    assert catalogue.symbols(recipes.find("vae")) == ""


def test_a_planned_model_has_no_command():
    text = invoke("models", "lvae").output
    assert text.startswith("ladder_vae: LadderVAE, planned\n")
    assert "metaprior run" not in text


def test_the_catalogue_is_there_for_scripts():
    listed = json.loads(invoke("models", "--json").output)
    assert [record["name"] for record in listed] == [record.name for record in RECORDS]
    one = json.loads(invoke("models", "fader", "--json").output)
    assert (one["needs"], one["status"], one["formula"]) == (["sensitive"], "works", recipes.find("fader").formula)
    assert {"name", "type", "default", "meaning"} == set(one["parameters"][0])


def test_an_unknown_model_is_refused_with_the_nearest():
    done = invoke("models", "bta_vae")
    assert done.stderr == "metaprior: model.recipe: there is no recipe 'bta_vae'. Did you mean beta_vae?\n"
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("default", "text"),
    [(4.0, "4"), (1e-4, "0.0001"), (100_000, "100000"), (("a", "b"), "[a, b]"), ((), "[]"), (True, "true"), ("x", "x")],
)
def test_defaults_are_shown_as_a_configuration_writes_them(default, text):
    assert catalogue.value(default) == text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_of_a_page_configures_the_model(name):
    flags = shlex.split(COMMANDS[name])[2:]
    sets = [tuple(flags[i + 1].split("=", 1)) for i, flag in enumerate(flags) if flag == "--set"]
    config = loading.load(data="digits", model=flags[flags.index("--model") + 1], sets=sets)
    assert config.model.recipe == name
    assert all(getattr(config.data, role) for role in recipes.find(name).needs)


# The pages.


def test_the_committed_pages_are_what_would_be_written(tmp_path):
    done = invoke("models", "--markdown", str(tmp_path / "pages"))
    written = {path.name: path.read_text() for path in (tmp_path / "pages").iterdir()}
    assert done.output == f"{len(written)} pages written to {tmp_path / 'pages'}\n"
    committed = {path.name: path.read_text() for path in DOCS.iterdir()}
    assert sorted(committed) == sorted(written), "run: make docs, and remove the pages of recipes that are gone"
    assert committed == written, "run: make docs"


def test_there_is_a_page_for_each_working_recipe_and_a_way_to_it():
    index = pages.pages()[pages.INDEX]
    for record in RECORDS:
        works = record.status == "works"
        assert (f"| [{record.title}]({record.name}.md) |" in index) is works
        assert (f"| {record.title} (planned) |" in index) is not works
    assert set(pages.pages()) == {pages.INDEX, *(f"{record.name}.md" for record in WORKING)}


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = invoke("models", "--markdown", str(tmp_path / "file" / "pages"))
    assert done.stderr == f"metaprior: {tmp_path}/file/pages: cannot be written: Not a directory.\n"


@pytest.mark.parametrize("name", pages.pages())
def test_links_lead_somewhere_and_tables_are_rectangular(name):
    text = pages.pages()[name]
    targets = re.findall(r"\]\(([^)#]*)(?:#[\w-]+)?\)", text)
    assert targets
    assert {target for target in targets if not target.startswith("https://")} <= set(pages.pages())
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_example_of_a_schedule_can_be_run():
    (line,) = re.findall(r"^    metaprior run .*schedule.*$", pages.pages()[pages.INDEX], flags=re.MULTILINE)
    key, text = shlex.split(line)[-1].split("=", 1)
    config = loading.load(data="digits", model="beta_vae", sets=[(key, text)])
    assert config.model.parameters == {"beta": {"schedule": "linear", "end": 4, "steps": 1000}}


# The formulas: LaTeX's grammar, with the commands that GitHub's renderer and every other one knows.

SYMBOLS = (
    *("alpha", "beta", "gamma", "epsilon", "kappa", "lambda", "mu", "sigma"),
    *("sum", "prod", "log", "min", "ldots", "neq", "quad", "mid", "cdot", "times"),
)
ONE, TWO = ("mathbb", "mathrm", "bar", "hat"), ("frac",)


def grammar() -> pp.ParserElement:
    """LaTeX mathematics: groups, commands with their arguments, scripts at most one above and one below."""
    expression = pp.Forward()
    group = pp.Suppress("{") + expression + pp.Suppress("}")
    character = pp.Regex(r"[A-Za-z0-9()\[\]|,;:=+\-*/.'!]")
    spacing = pp.Regex(r"\\[,;!| ]")
    symbol = pp.Regex(rf"\\(?:{'|'.join(SYMBOLS)})(?![A-Za-z])")
    one = pp.Regex(rf"\\(?:{'|'.join(ONE)})(?![A-Za-z])") + (group | pp.Regex("[A-Za-z]"))
    two = pp.Regex(rf"\\(?:{'|'.join(TWO)})(?![A-Za-z])") + group + group
    fence = pp.Regex(r"\\left[(\[|]") + expression + pp.Regex(r"\\right[)\]|]")
    atom = fence | two | one | symbol | spacing | group | character
    script = group | symbol | pp.Regex("[A-Za-z0-9]")
    below, above = pp.Suppress("_") + script, pp.Suppress("^") + script
    expression <<= pp.OneOrMore(atom + pp.Optional((below + pp.Optional(above)) | (above + pp.Optional(below))))
    return expression


@pytest.mark.parametrize("record", WORKING, ids=lambda record: record.name)
def test_every_working_recipe_has_a_formula_that_parses(record):
    grammar().parse_string(record.formula, parse_all=True)
    assert record.formula in (DOCS / f"{record.name}.md").read_text()


@pytest.mark.parametrize(
    "broken", ["{x", "x}", r"\frac{a}", r"\left( x", r"\bogus", "x_a_b", r"\mathrm", "x^", "a & b"]
)
def test_a_broken_formula_does_not_parse(broken):
    with pytest.raises(pp.ParseException):
        grammar().parse_string(broken, parse_all=True)


# The records behind it.


def test_meta_priors_are_told_apart():
    assert recipes.find("vlae").metapriors == ("hierarchy",)
    assert recipes.find("hsic_vae").metapriors == ("disentanglement", "invariance")
    assert recipes.find("vae").metapriors == ()


def test_a_record_needs_the_roles_that_it_names_as_labels():
    for record in WORKING:
        required = re.sub(r"\w+ \(optional\)", "", record.labels)
        assert set(record.needs) == {role for role in needs.ROLES if role in required}
