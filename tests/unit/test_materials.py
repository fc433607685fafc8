"""Materials and compounds."""

import pytest

from na64root import _core


def test_all_materials_of_the_experiment_are_there():
    assert set(_core.material_names()) == {"Pb", "W", "Fe", "Al", "Cu", "C", "polystyrene"}
    for name in _core.material_names():
        material = _core.material(name)
        assert sum(c.mass_fraction for c in material.components) == pytest.approx(1.0)


def test_radiation_lengths_in_cm():
    # independent: Geant4's, 5.612 mm, 17.575 mm, 413 mm, to the 1 % by which its X0 differs from the PDG's
    for name, length in (("Pb", 0.5612), ("Fe", 1.7575), ("polystyrene", 41.3)):
        assert _core.material(name).radiation_length_cm() == pytest.approx(length, rel=0.01)


def test_compound():
    # analytic: mass fractions of C8H8; the elements' radiation lengths give the PDG's 43.79 within 1 %
    polystyrene = _core.compound("C8H8", 1.06, [("C", 8), ("H", 8)])
    assert polystyrene.components[0].mass_fraction == pytest.approx(12.011 / 13.019)
    assert polystyrene.radiation_length == pytest.approx(43.79, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", 1.0, []), "needs elements"),
        (("x", 0.0, [("C", 1)]), "positive density"),
        (("x", 1.0, [("C", -1)]), "not positive"),
        (("x", 1.0, [("Xx", 1)]), "unknown element"),
    ],
)
def test_bad_compounds_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        _core.compound(*arguments)


def test_any_element_can_be_made():
    uranium = _core.Element("U", 92, 238.03)
    assert uranium.nuclear_mass() == pytest.approx(238.03 * 0.931494)
    lead = _core.DarkBremsstrahlung(0.1, _core.element("Pb")).total(100.0).value
    assert _core.DarkBremsstrahlung(0.1, uranium).total(100.0).value > lead
    with pytest.raises(ValueError, match="positive Z and A"):
        _core.Element("X", 0, 1.0)


def test_unknown_material_names_the_known():
    with pytest.raises(ValueError, match="Pb, W, Fe"):
        _core.material("lead")
