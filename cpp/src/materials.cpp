#include "na64root/materials.hpp"

#include <stdexcept>

namespace na64root {
namespace {

// Standard atomic masses (IUPAC 2019); radiation lengths in g/cm^2 (PDG 2020).
struct ElementData {
    Element element;
    double radiation_length;
};

const std::vector<ElementData> &elements() {
    static const std::vector<ElementData> table = {
        {{"H", 1, 1.008}, 63.04},    {{"C", 6, 12.011}, 42.70},   {{"Al", 13, 26.9815}, 24.01},
        {{"Fe", 26, 55.845}, 13.84}, {{"Cu", 29, 63.546}, 12.86}, {{"W", 74, 183.84}, 6.76},
        {{"Pb", 82, 207.2}, 6.37},
    };
    return table;
}

const ElementData &element_data(const std::string &symbol) {
    std::string known;
    for (const auto &entry : elements()) {
        if (entry.element.symbol == symbol)
            return entry;
        known += (known.empty() ? "" : ", ") + entry.element.symbol;
    }
    throw std::invalid_argument("unknown element " + symbol + " (known: " + known + ")");
}

Material pure(const std::string &symbol, double density) {
    const auto &data = element_data(symbol);
    return {symbol, density, data.radiation_length, {{data.element, 1.0}}};
}

const std::vector<Material> &materials() {
    // The radiation length of polystyrene is the tabulated one, which knows the molecule.
    static const std::vector<Material> table = [] {
        std::vector<Material> list = {pure("Pb", 11.35), pure("W", 19.30),  pure("Fe", 7.874),
                                      pure("Al", 2.699), pure("Cu", 8.960), pure("C", 2.210)};
        Material polystyrene = compound("polystyrene", 1.060, {{"C", 8}, {"H", 8}});
        polystyrene.radiation_length = 43.79;
        list.push_back(polystyrene);
        return list;
    }();
    return table;
}

} // namespace

const Element &element(const std::string &symbol) {
    return element_data(symbol).element;
}

const Material &material(const std::string &name) {
    for (const auto &entry : materials())
        if (entry.name == name)
            return entry;
    std::string known;
    for (const auto &entry : material_names())
        known += (known.empty() ? "" : ", ") + entry;
    throw std::invalid_argument("unknown material " + name + " (known: " + known + ")");
}

std::vector<std::string> material_names() {
    std::vector<std::string> names;
    for (const auto &entry : materials())
        names.push_back(entry.name);
    return names;
}

Material compound(const std::string &name, double density,
                  const std::vector<std::pair<std::string, double>> &atoms) {
    if (atoms.empty() || !(density > 0.0))
        throw std::invalid_argument("compound " + name + " needs elements and a positive density");
    double total_mass = 0.0;
    for (const auto &[symbol, count] : atoms) {
        if (!(count > 0.0))
            throw std::invalid_argument("compound " + name + " has a count of " + symbol +
                                        " that is not positive");
        total_mass += count * element(symbol).atomic_mass;
    }
    Material result{name, density, 0.0, {}};
    double inverse_radiation_length = 0.0;
    for (const auto &[symbol, count] : atoms) {
        const auto &data = element_data(symbol);
        const double mass_fraction = count * data.element.atomic_mass / total_mass;
        inverse_radiation_length += mass_fraction / data.radiation_length;
        result.components.push_back({data.element, mass_fraction});
    }
    result.radiation_length = 1.0 / inverse_radiation_length;
    return result;
}

} // namespace na64root
