// Native units are GeV and cm; every constant is typed here, once, with its source.
#ifndef NA64ROOT_UNITS_HPP
#define NA64ROOT_UNITS_HPP

namespace na64root::units {

inline constexpr double GeV = 1.0;
inline constexpr double MeV = 1e-3 * GeV;
inline constexpr double keV = 1e-6 * GeV;
inline constexpr double cm = 1.0;
inline constexpr double mm = 0.1 * cm;
inline constexpr double m = 100.0 * cm;
inline constexpr double fermi = 1e-13 * cm;

inline constexpr double pi = 3.14159265358979323846;

// CODATA 2018.
inline constexpr double hbar_c = 1.973269804e-14;            // GeV cm
inline constexpr double inverse_GeV2_in_pb = 0.3893793721e9; // pb per GeV^-2
inline constexpr double alpha = 1.0 / 137.035999084;         // fine-structure constant at q^2 = 0
inline constexpr double avogadro = 6.02214076e23;            // per mol (exact, SI 2019)
inline constexpr double pb_in_cm2 = 1e-36;

// CODATA 2018 / PDG 2020.
inline constexpr double electron_mass = 0.51099895e-3; // GeV
inline constexpr double muon_mass = 0.1056583755;      // GeV
inline constexpr double proton_mass = 0.938272;        // GeV
inline constexpr double atomic_mass_unit = 0.931494;   // GeV

} // namespace na64root::units

#endif
