// The excluded region of the (mass, epsilon) plane, drawn by ROOT from the results of an analysis.
//
//   .venv/bin/root -l -b -q macros/exclusion.C
//   .venv/bin/root -l -b -q 'macros/exclusion.C("na64root-output/results.root", "exclusion.pdf")'
//
// The plane is read; the g-2 bands are computed here by the core, for the values of Delta a_mu below.
#pragma cling add_include_path("$ROOTSYS/../na64root/include")
#if !__has_include("na64root/magnetic_moment.hpp")
#error "na64root is not installed beside this ROOT: run with its own, .venv/bin/root, after `make build`"
#endif
#pragma cling load("$ROOTSYS/../na64root/lib/libna64root.so")
#include "na64root/magnetic_moment.hpp"
#include "na64root/units.hpp"

#include "TCanvas.h"
#include "TFile.h"
#include "TGraph.h"
#include "TH2D.h"
#include "TLegend.h"
#include "TStyle.h"
#include "TSystem.h"

#include <cmath>
#include <iostream>
#include <memory>

void exclusion(const char *input = "na64root-output/results.root", const char *output = "exclusion.pdf") {
    if (gSystem->AccessPathName(input)) {
        std::cerr << "exclusion.C: no file " << input
                  << " (the plane is read from it): run `make run` first, or name the results.root of an "
                     "analysis\n";
        gSystem->Exit(2);
    }
    std::unique_ptr<TFile> file(TFile::Open(input));
    auto *plane = file ? file->Get<TH2D>("upper_limit_mu") : nullptr;
    if (!plane) {
        std::cerr << "exclusion.C: " << input
                  << " holds no histogram upper_limit_mu (no plane was computed): run `na64root analyze`\n";
        gSystem->Exit(2);
    }
    plane->SetDirectory(nullptr);

    // The paper: Fermilab and Brookhaven against the 2020 White Paper; before Fermilab, Brookhaven alone.
    struct Band {
        double central, uncertainty;
        int colour;
        const char *title;
    };
    const Band bands[] = {{279e-11, 76e-11, kAzure - 4, "(g-2)_{#mu}, #pm2#sigma, before Fermilab"},
                          {251e-11, 59e-11, kRed - 7, "(g-2)_{#mu}, #pm2#sigma, with Fermilab (2021)"}};
    const auto *masses = plane->GetXaxis();
    const auto *epsilons = plane->GetYaxis();
    const auto epsilon_g2 = [](double mass, double moment) {
        return na64root::epsilon_of_magnetic_moment(na64root::units::muon_mass, mass, moment);
    };

    gStyle->SetOptStat(0);
    auto *canvas = new TCanvas("exclusion", "exclusion", 750, 650);
    canvas->SetLogx();
    canvas->SetLogy();
    canvas->SetTicks();
    canvas->SetMargin(0.13, 0.04, 0.12, 0.05);
    auto *frame = canvas->DrawFrame(masses->GetXmin(), epsilons->GetXmin(), masses->GetXmax(),
                                    epsilons->GetXmax(), ";m_{A'} [GeV];#varepsilon");
    frame->GetXaxis()->SetTitleOffset(1.2);
    frame->GetYaxis()->SetTitleOffset(1.4);
    auto *legend = new TLegend(0.45, 0.14, 0.94, 0.34);
    legend->SetBorderSize(0);
    legend->SetFillStyle(0);
    for (const auto &band : bands) {
        auto *area = new TGraph;
        const int n = masses->GetNbins();
        for (int i = 1; i <= n; ++i)
            area->AddPoint(masses->GetBinCenter(i),
                           epsilon_g2(masses->GetBinCenter(i), band.central - 2.0 * band.uncertainty));
        for (int i = n; i >= 1; --i)
            area->AddPoint(masses->GetBinCenter(i),
                           epsilon_g2(masses->GetBinCenter(i), band.central + 2.0 * band.uncertainty));
        area->SetFillColorAlpha(band.colour, 0.5);
        area->Draw("F");
        legend->AddEntry(area, band.title, "f");
    }
    auto *line = new TGraph;
    for (int i = 1; i <= masses->GetNbins(); ++i)
        line->AddPoint(masses->GetBinCenter(i), epsilon_g2(masses->GetBinCenter(i), bands[1].central));
    line->SetLineColor(kRed + 1);
    line->SetLineStyle(2);
    line->SetLineWidth(2);
    line->Draw("L");
    legend->AddEntry(line, "(g-2)_{#mu}, central", "l");

    // Excluded where the limit on the signal strength is below 1.
    int excluded = 0;
    for (int i = 1; i <= masses->GetNbins(); ++i)
        for (int k = 1; k <= epsilons->GetNbins(); ++k) {
            const double mu = plane->GetBinContent(i, k);
            excluded += mu < 1.0;
            plane->SetBinContent(i, k, std::log(std::min(std::max(mu, 1e-20), 1e20)));
        }
    const double level = 0.0;
    plane->SetContour(1, &level);
    plane->SetLineColor(kGreen + 3);
    plane->SetLineWidth(3);
    plane->Draw("CONT3 SAME");
    auto *entry = new TGraph;
    entry->SetLineColor(kGreen + 3);
    entry->SetLineWidth(3);
    legend->AddEntry(entry, "NA64, excluded at 90 % CL to the left", "l");
    legend->Draw();
    std::cout << "excluded points: " << excluded << " of " << masses->GetNbins() * epsilons->GetNbins()
              << "\n";
    canvas->RedrawAxis();
    canvas->SaveAs(output);
}
