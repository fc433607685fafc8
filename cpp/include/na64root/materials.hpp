// Elements and the materials of the experiment.
#ifndef NA64ROOT_MATERIALS_HPP
#define NA64ROOT_MATERIALS_HPP

#include <string>
#include <vector>

#include "na64root/units.hpp"

namespace na64root {

struct Element {
    std::string symbol;
    double atomic_number;
    double atomic_mass; // g/mol

    // Mass of the nucleus as a target at rest, A times the atomic mass unit (GeV).
    double nuclear_mass() const { return atomic_mass * units::atomic_mass_unit; }
};

struct Component {
    Element element;
    double mass_fraction;
};

struct Material {
    std::string name;
    double density;          // g/cm^3
    double radiation_length; // g/cm^2
    std::vector<Component> components;

    double radiation_length_cm() const { return radiation_length / density; }
};

// Pb, W, Fe, Al, Cu, C (graphite), polystyrene: densities and radiation lengths of the PDG (2020, tables of
// atomic and nuclear properties). Throws std::invalid_argument naming the known ones.
const Material &material(const std::string &name);
std::vector<std::string> material_names();

// An element by symbol, among those the materials are made of. Throws std::invalid_argument.
const Element &element(const std::string &symbol);

// A compound from elements and numbers of atoms. Its radiation length follows from the elements' by mass
// fraction (PDG 2020, Eq. 34.27); throws std::invalid_argument for an empty list, a count or a density that
// is not positive.
Material compound(const std::string &name, double density,
                  const std::vector<std::pair<std::string, double>> &atoms);

} // namespace na64root

#endif
