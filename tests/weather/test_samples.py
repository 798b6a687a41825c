"""The sample files: every message gives a product and a map, or is refused by name."""

import json

import pytest

from maestro.workflows.weather import columns, plan, requirements
from maestro.workflows.weather.errors import SampleError

# Samples that MIR cannot interpolate (polar stereographic, Lambert with other packing, Mercator, rotated, WRF's own grid).
REFUSED = {
    "CMC_reg_WIND_ISBL_300_ps60km_2010052400_P012.grib", "cl00010000_ecoclimap_rot.grib1", "ds.maxt.bin", "ds.waveh.bin", "dspr.temp.bin",
    "flux.grb", "ngm.grb", "rap.wrfnat.grib2", "rotated_ll.grib1", "safrica.grib2",
}  # fmt: skip


MAPS = 3  # per file: a map takes half a second, and the files have 1,036 messages


@pytest.mark.timeout(200)  # 40 s of work where the caches are warm; weights for 20 grids, and low priority, where they are not
def test_every_sample_becomes_product_and_map_or_is_refused_by_name(sample_fields, tmp_path):
    """All messages of all files: a product each, or a refusal; maps of the first, a middle and the last message of each file."""
    from maestro.workflows.weather import grib, samples
    from maestro.workflows.weather.demo import environment

    files, mine, owner = samples.sample_files(), tmp_path / "mine.grib", []
    assert len(files) >= 19
    with mine.open("wb") as stream:
        for path in files:
            for message in grib.read_messages(path):
                stream.write(message)
                owner.append(path.name)
    draft = {"input": str(mine)}
    wishes = requirements.of_file(plan.Plan.model_validate(draft).fields(), pictures=0)
    assert len(wishes) == len(owner) > 1000
    drawable = {number for path in files for number in _some([n for n, name in enumerate(owner) if name == path.name])}
    for number in drawable:
        wishes[number]["picture"] = True
    column = columns.Column("maestro", draft, wishes, tmp_path)
    figures = column.execute(draw=True, environment=environment())
    assert figures["lost"] == figures["corrupt"] == figures["duplicates"] == []
    failed = {failure["product"]: failure for failure in figures["failed"]}
    assert set(failed) == {number for number, name in enumerate(owner) if name in REFUSED}
    for number, failure in failed.items():
        assert f"message {number + 1}" in failure["name"], owner[number]
        assert "interpolate to" in failure["reason"], owner[number]
    pictures = json.loads((column.run / "pictures.json").read_text())
    assert pictures["refused"] == []
    drawn = {int(name.removesuffix(".png").rpartition("message-")[2]) - 1 for name in pictures["drawn"]}
    assert drawn == drawable - set(failed)
    made = grib.read_messages(column.run / "products" / "user.grib")
    assert sum(1 for _ in made) == len(owner) - len(failed)


def _some(numbers: list[int]) -> list[int]:
    return [numbers[position * (len(numbers) - 1) // (MAPS - 1)] for position in range(MAPS)]


def test_without_apt_the_error_says_what_to_do(tmp_path, monkeypatch):
    from maestro.workflows.weather import samples

    monkeypatch.setenv("MAESTRO_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(samples, "INSIDE", samples.INSIDE / "nowhere")
    with pytest.raises(SampleError, match=r"apt-get.*copy .* to .*samples"):
        samples.samples_dir()


def test_a_failing_download_names_the_last_line_of_apt(tmp_path, monkeypatch):
    from maestro.workflows.weather import samples

    fake = tmp_path / "bin" / "apt-get"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    fake.chmod(0o755)
    (tmp_path / "bin" / "dpkg-deb").symlink_to("/bin/true")
    monkeypatch.setenv("MAESTRO_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{fake.parent}:/bin")
    monkeypatch.setattr(samples, "INSIDE", samples.INSIDE / "nowhere")
    with pytest.raises(SampleError, match="Unable to locate package"):
        samples.samples_dir()
