"""The sample files: every one gives a product and a map, or is refused by name."""

import json

import pytest

from maestro.workflows.weather import columns, plan, requirements
from maestro.workflows.weather.errors import SampleError

# Samples that MIR cannot interpolate (polar stereographic, Lambert with other packing, Mercator, rotated, WRF's own grid).
REFUSED = {
    "CMC_reg_WIND_ISBL_300_ps60km_2010052400_P012.grib", "cl00010000_ecoclimap_rot.grib1", "ds.maxt.bin", "ds.waveh.bin", "dspr.temp.bin",
    "flux.grb", "ngm.grb", "rap.wrfnat.grib2", "rotated_ll.grib1", "safrica.grib2",
}  # fmt: skip


@pytest.mark.timeout(200)  # some seconds of work where the caches are warm; weights for 20 grids, and low priority, where they are not
def test_every_sample_becomes_product_and_map_or_is_refused_by_name(sample_fields, tmp_path):
    from maestro.workflows.weather import grib, samples
    from maestro.workflows.weather.demo import environment

    files = samples.sample_files()
    assert len(files) >= 19
    mine = tmp_path / "mine.grib"
    mine.write_bytes(b"".join(next(grib.read_messages(path)) for path in files))
    draft = {"input": str(mine)}
    wishes = requirements.of_file(plan.Plan.model_validate(draft).fields(), pictures=100)
    column = columns.Column("maestro", draft, wishes, tmp_path)
    figures = column.execute(draw=True, environment=environment())
    failed = {failure["product"]: failure for failure in figures["failed"]}
    drawn = json.loads((column.run / "pictures.json").read_text())
    for number, path in enumerate(files):
        if path.name in REFUSED:
            assert f"message {number + 1}" in failed[number]["name"], path
            assert "interpolate to" in failed[number]["reason"], path
        else:
            assert number not in failed, (path, failed.get(number))
            assert any(name.endswith(f"message-{number + 1}.png") for name in drawn["drawn"]), path
    assert drawn["refused"] == []
    assert figures["lost"] == figures["corrupt"] == figures["duplicates"] == []


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
