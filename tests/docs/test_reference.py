"""Every table, job, lane, command, setting and event stands in the pages exactly once."""

import re
import subprocess
import sys
from collections import Counter

import msgspec
import pytest

import jobs
from domain.commands import COMMANDS
from domain.journal.model import Lane
from domain.piccolo_app import TABLES
from domain.rejections import Code
from infra.settings import Settings
from tests.docs.source import PACKAGES, ROOT, defined, pages, text_of


def counted(noun):
    return Counter(defined(noun))


def once(names):
    return Counter(dict.fromkeys(names, 1))


def test_every_job_is_described_once():
    assert counted("job") == once(jobs.load())


def test_every_command_is_described_once():
    assert counted("command") == once([command.__name__ for command in COMMANDS])


def test_every_lane_is_described_once():
    assert counted("lane") == once([lane.value for lane in Lane])


def test_every_table_is_described_once():
    assert counted("table") == once([table._meta.tablename for table in TABLES])


def test_every_setting_is_described_once():
    names = {field.encode_name for field in msgspec.structs.fields(Settings)}
    first_cells = Counter(re.findall(r"^\| `([A-Z_]+)` \|", text_of(_page("docs/settings.md")), re.MULTILINE))
    assert {name: first_cells[name] for name in names} == dict.fromkeys(names, 1)


def test_every_problem_code_is_described_once():
    first_cells = Counter(re.findall(r"^\| `([a-z_]+)` \|", text_of(_page("docs/problems.md")), re.MULTILINE))
    assert {code.value: first_cells[code.value] for code in Code} == {code.value: 1 for code in Code}


def _page(name):
    return next(page for page in pages() if page.as_posix() == name)


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", pages(), ids=str)
def test_files_that_pages_name_exist(page):
    """``domain/money.py`` in a page is a file of ours; a name without a folder may be anything."""
    folders = "|".join((*PACKAGES, "tests", "docs"))
    for named in re.findall(rf"`((?:{folders})/[\w./-]+\.(?:py|md))(?:::\w+)?`", text_of(page)):
        assert (ROOT / named).exists(), named


def test_the_readme_names_every_make_target_and_every_command():
    readme = text_of(_page("README.md"))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE):
        assert f"`make {target}`" in readme, target
    helped = subprocess.run(
        [sys.executable, "-m", "ops.cli", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in re.findall(r"^  ([a-z-]+)  ", helped.partition("Commands:")[2], re.MULTILINE):
        assert f"`ordermill {command}" in readme, command


def test_the_readme_maps_every_package():
    readme = text_of(_page("README.md"))
    for package in (*PACKAGES, "tests", "docs"):
        assert f"`{package}/" in readme, package
