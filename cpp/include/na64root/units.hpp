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
inline constexpr double tau_mass = 1.77686;            // GeV
inline constexpr double proton_mass = 0.938272;        // GeV
inline constexpr double atomic_mass_unit = 0.931494;   // GeV

// Mesons, PDG 2020: masses and widths in GeV, branching ratios.
inline constexpr double pion_mass = 0.13957; // charged
inline constexpr double neutral_pion_mass = 0.134977;
inline constexpr double neutral_pion_to_photons = 0.98823;
inline constexpr double eta_mass = 0.547862;
inline constexpr double eta_to_photons = 0.3941;
inline constexpr double rho_mass = 0.77526;
inline constexpr double rho_width = 0.1478;
inline constexpr double rho_1450_mass = 1.465;
inline constexpr double rho_1450_width = 0.400;
inline constexpr double omega_mass = 0.78266;
inline constexpr double omega_width = 0.00868;
inline constexpr double omega_to_electrons = 7.38e-5;
inline constexpr double phi_mass = 1.01946;
inline constexpr double phi_width = 0.00425;
inline constexpr double phi_to_electrons = 2.97e-4;

// Cosmology, PDG 2020; the density of dark matter by Planck 2018 (arXiv:1807.06209).
inline constexpr double planck_mass = 1.220890e19;     // GeV
inline constexpr double entropy_today = 2891.2;        // cm^-3
inline constexpr double critical_density = 1.05371e-5; // GeV/cm^3 over h^2
inline constexpr double dark_matter_density = 0.12;    // Omega h^2

} // namespace na64root::units

#endif
